"""Everybody can use the pages: with any eyes, without a mouse, without things that move."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.past import FAILED, FINISHED, RUNNING, write_past
from tests.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = (1280, 360)
PLACES = [
    "/",
    f"/batch/{RUNNING[0]}",
    f"/batch/{FINISHED}",
    f"/batch/{FAILED}",
    "/batch/nobody",
    "/batch/-cannot-be",
    "/no/such/page",
]
BATCH_PARTS = [".standing", ".live-chart", ".minute", ".by-minute", ".newest", ".all-runs"]
in_each_theme = pytest.mark.parametrize("theme", ["light", "dark"])


@pytest.fixture(scope="module")
def console(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app in production with a past and five running batches."""
    database = tmp_path_factory.mktemp("data") / "solo.duckdb"
    write_past(database)
    app = RunningApp(project_in("prod"), database, "prod")
    try:
        app.start()
        for batch_id in RUNNING:
            assert http.post(f"{app.api}/stream/{batch_id}").status_code == 201
        yield app
    finally:
        app.stop()


def visit(page: Page, app: RunningApp, path: str) -> None:
    """Open a page and wait until it is all there."""
    page.goto(app.url + path)
    page.locator("main h1").wait_for()
    page.locator(".live.now").wait_for()
    page.wait_for_function(
        """() => !document.querySelector('.bone')
          && [...document.querySelectorAll('.minutes, .live-chart')]
            .every((part) => part.querySelector('svg, .nothing'))"""
    )


def wrong(page: Page) -> list[str]:
    """What axe finds wrong on the page as it is now: rule, place, why."""
    axe: Any = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe needs requirements-dev.txt"
    )
    found = axe.Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
    return [
        f"{violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ]


def wrong_at_any_width(page: Page) -> dict[int, list[str]]:
    """The same at each width at which something is wrong; no width may scroll sideways."""
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
        found[width] = wrong(page)
    return {width: faults for width, faults in found.items() if faults}


def test_axe_finds_nothing_wrong_before_the_first_batch(
    new_app: Callable[..., RunningApp], page: Page
) -> None:
    app = new_app("prod").start()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        visit(page, app, "/")
        assert wrong_at_any_width(page) == {}


@in_each_theme
@pytest.mark.parametrize("path", PLACES)
def test_axe_finds_nothing_wrong(console: RunningApp, page: Page, path: str, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    visit(page, console, path)
    assert page.locator(f"html.{theme}").count() == 1
    assert wrong_at_any_width(page) == {}


@in_each_theme
def test_axe_finds_nothing_wrong_with_answers(console: RunningApp, page: Page, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    visit(page, console, "/")
    page.get_by_role("button", name=f"Stop: {RUNNING[0]}").click()
    page.locator("[data-sonner-toast][data-mounted='true']").wait_for()
    page.get_by_label("New batch").fill(RUNNING[1])
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()
    page.wait_for_function("document.getAnimations().every((a) => a.playState !== 'running')")
    assert wrong_at_any_width(page) == {}
    assert http.post(f"{console.api}/stream/{RUNNING[0]}").status_code == 201


def focused(page: Page) -> str:
    """The name of what has the focus; what cannot be seen to have it is marked."""
    return str(
        page.evaluate(
            """() => {
              const it = document.activeElement;
              const name = it.getAttribute('aria-label') ?? it.labels?.[0]?.textContent
                ?? it.title ?? (it.matches('svg') ? '(nameless)' : it.textContent);
              const { outlineStyle, outlineWidth } = getComputedStyle(it);
              const box = it.getBoundingClientRect();
              const seen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
                && box.width > 1 && box.height > 1;
              return (name || it.textContent) + (seen ? '' : ' (unseen)');
            }"""
        )
    )


def tabbed(page: Page, count: int) -> list[str]:
    """What gets the focus, one after another."""
    names = []
    for _ in range(count):
        page.keyboard.press("Tab")
        names.append(focused(page))
    return names


def test_the_keyboard_comes_to_everything_in_the_order_of_the_page(
    console: RunningApp, page: Page
) -> None:
    visit(page, console, "/")
    frame = ["Skip to the content", "SOLO, all batches", "Theme: as the system has it"]
    offer = page.get_by_role("button", name="Start batch-").get_attribute("aria-label")
    form = ["New batch", "Start", offer, "Keys / and n lead to this field", "Search batches"]
    filters = ["All", "Running", "Ended", "Failed", "Interrupted"]
    running = [task["batch_id"] for task in http.get(f"{console.api}/tasks").json()["tasks"]]
    rows = [name for batch_id in running for name in (batch_id, f"Stop: {batch_id}")]
    slots = page.locator(".slot .id").all_inner_texts()
    assert sorted(slots) == sorted(running)
    order = [*frame, *slots, *form, *filters, *rows]
    assert tabbed(page, len(order)) == order
    visit(page, console, f"/batch/{RUNNING[0]}")
    minutes = ["15 min", "1 h", "6 h", "24 h", "Download", "Average, lowest and highest by minute"]
    below = ["As a table", "Pause"]
    whole = [*frame, "Stop", "Newest points", *minutes, *below]
    assert tabbed(page, len(whole)) == whole
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")


def test_a_chart_tells_its_points_to_the_keyboard(console: RunningApp, page: Page) -> None:
    visit(page, console, f"/batch/{FINISHED}")
    page.get_by_label("Average, lowest and highest by minute").focus()
    page.keyboard.press("ArrowRight")
    told = page.locator(".minutes .recharts-tooltip-wrapper")
    told.get_by_text("UTC").wait_for()
    assert re.search(r"average: \d+\.\d\d\b", told.inner_text())


def test_the_skip_link_leads_past_the_frame(console: RunningApp, page: Page) -> None:
    visit(page, console, f"/batch/{RUNNING[0]}")
    assert tabbed(page, 1) == ["Skip to the content"]
    page.keyboard.press("Enter")
    assert tabbed(page, 1) == ["Stop"]


def test_a_batch_is_stopped_and_started_without_a_mouse(console: RunningApp, page: Page) -> None:
    visit(page, console, f"/batch/{RUNNING[4]}")
    page.get_by_role("button", name="Stop").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{console.url}/")
    free = page.get_by_role("button", name="Start a batch")
    free.focus()
    page.keyboard.press("Space")
    page.wait_for_function("document.activeElement.id === 'batch-id'")
    page.keyboard.type("not a name")
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()
    page.wait_for_timeout(700)  # A second Enter at once would pass for a double click.
    page.keyboard.press("Control+A")
    page.keyboard.type(RUNNING[4])
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Stop: {RUNNING[4]}").wait_for()
    free.wait_for(state="detached")


PARTS = {
    "/": [".head", ".slots", ".new", ".card.list", ".batches tbody"],
    f"/batch/{RUNNING[0]}": BATCH_PARTS,
    f"/batch/{FINISHED}": BATCH_PARTS,
}


def tops(page: Page, parts: list[str]) -> dict[str, int]:
    """How far down the page each part begins, in pixels."""
    top = "it => Math.round(it.getBoundingClientRect().top + scrollY)"
    return {part: page.locator(part).first.evaluate(top) for part in parts}


@pytest.mark.parametrize("width", [1920, 1280, 360, 320])
@pytest.mark.parametrize("path", PARTS)
def test_bones_stand_where_the_data_will(
    console: RunningApp, page: Page, path: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    waiting = page.context.new_page()
    waiting.set_viewport_size({"width": width, "height": 900})
    waiting.route_web_socket(re.compile("_event"), lambda _: None)  # Nobody answers.
    waiting.goto(console.url + path)
    waiting.locator("main .bone").first.wait_for()
    waiting.evaluate("document.fonts.ready")
    visit(page, console, path)
    assert tops(waiting, PARTS[path]) == tops(page, PARTS[path])


def test_the_first_points_and_minutes_find_their_place_kept(
    console: RunningApp, page: Page
) -> None:
    assert http.delete(f"{console.api}/stream/{RUNNING[1]}").status_code == 200
    assert http.post(f"{console.api}/stream/fresh").status_code == 201
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        visit(page, console, "/batch/fresh")
        new = tops(page, BATCH_PARTS)
        visit(page, console, f"/batch/{RUNNING[0]}")
        assert new == tops(page, BATCH_PARTS)
    assert http.delete(f"{console.api}/stream/fresh").status_code == 200
    assert http.post(f"{console.api}/stream/{RUNNING[1]}").status_code == 201


def test_before_the_scripts_run_there_is_a_title_and_a_main_part(console: RunningApp) -> None:
    for path in ("/", f"/batch/{RUNNING[0]}"):
        text = http.get(console.url + path, headers={"Accept": "text/html"}).text
        assert re.search("<title>(Batches · )?SOLO</title>", text)
        assert '<main class="main" id="main">' in text


@pytest.mark.parametrize("width", [320, 360, 900])
def test_no_words_are_cut_and_nothing_sticks_out(
    console: RunningApp, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    visit(page, console, "/")
    cut = "all => all.filter((it) => it.scrollWidth > it.clientWidth + 1).map((it) => it.innerText)"
    assert page.locator(".batches td:visible").evaluate_all(cut) == []
    for figure in (".average", ".rows", ".since"):
        assert page.locator(f".batches .going {figure}").first.is_visible()
    visit(page, console, f"/batch/{RUNNING[4]}")
    assert page.locator(".as-table tr").count() == 0  # What is closed is not drawn.
    page.get_by_role("button", name="24 h", exact=True).click()
    page.get_by_text("As a table").click()
    page.get_by_text("The latest 60 of").wait_for()
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".by-minute td").evaluate_all(cut) == []
    assert page.get_by_text("As a table").bounding_box()["height"] >= 24  # type: ignore[index]


def test_rows_that_look_like_cards_are_rows_to_whoever_hears_them(
    console: RunningApp, page: Page
) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    visit(page, console, "/")
    row = page.get_by_role("table").get_by_role("row").nth(1)
    assert row.get_by_role("cell").count() == 8
    assert page.get_by_role("columnheader", name="Average, last minute").count() == 1


def test_a_refusal_has_a_row_of_its_own_on_a_phone(console: RunningApp, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    visit(page, console, f"/batch/{FINISHED}")
    heading = page.get_by_role("heading", level=1)
    before = heading.bounding_box()
    page.get_by_role("button", name="Start again").click()
    refusal = page.get_by_role("alert").filter(has_text="5 batches are running")
    refusal.wait_for()
    assert heading.bounding_box() == before
    box = refusal.bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (16, 328)


def test_colours_of_the_system_leave_dots_and_choices_to_be_seen(
    console: RunningApp, page: Page
) -> None:
    page.emulate_media(forced_colors="active")
    visit(page, console, "/")
    for part, pseudo in ((".live .dot", None), (".batches .pill", "::before")):
        edge = page.locator(part).first.evaluate(
            "(it, pseudo) => getComputedStyle(it, pseudo).borderTopWidth", pseudo
        )
        assert float(edge.removesuffix("px")) >= 2
    grounds = page.locator(".seg button").evaluate_all(
        "all => all.map((it) => getComputedStyle(it).backgroundColor)"
    )
    assert len(set(grounds)) == 2


@pytest.mark.parametrize("path", ["/", f"/batch/{RUNNING[0]}"])
def test_nothing_moves_when_data_come(console: RunningApp, page: Page, path: str) -> None:
    page.add_init_script(
        """window.moved = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) window.moved += entry.value;
        }).observe({ type: 'layout-shift', buffered: true });"""
    )
    visit(page, console, path)
    page.wait_for_timeout(5000)  # About twenty ticks.
    assert page.evaluate("window.moved") < 0.01


def test_who_wants_no_motion_gets_none(console: RunningApp, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.add_init_script(
        """window.moving = new Set();
        (function look() {
          for (const animation of document.getAnimations()) {
            if (animation.playState === 'running') {
              window.moving.add(animation.effect.target.outerHTML.slice(0, 200));
            }
          }
          requestAnimationFrame(look);
        })();"""
    )
    visit(page, console, f"/batch/{RUNNING[2]}")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Start again", exact=True).click()
    page.get_by_text(f"Started {RUNNING[2]}").wait_for()
    page.get_by_role("button", name="Theme").click()
    page.wait_for_timeout(1000)  # As long as a motion might take.
    assert page.evaluate("[...window.moving]") == []


@pytest.mark.parametrize("path", ["/", f"/batch/{RUNNING[0]}"])
def test_digits_are_equally_wide(console: RunningApp, page: Page, path: str) -> None:
    visit(page, console, path)
    uneven = page.evaluate(
        """() => [...document.querySelectorAll('main *')]
          .filter((it) => /\\d/.test(it.textContent)
            && getComputedStyle(it).fontVariantNumeric !== 'tabular-nums')
          .map((it) => it.outerHTML.slice(0, 200))"""
    )
    assert uneven == []
