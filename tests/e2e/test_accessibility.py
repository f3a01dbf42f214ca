"""Everybody can use the pages: with any eyes, without a mouse, without things that move."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.actions import open_page
from tests.helpers.history import FINISHED, RUNNING
from tests.helpers.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Page


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
    open_page(page, console, "/")
    frame = ["Skip to content", "SOLO, all batches", "Keyboard shortcuts", "Theme: system"]
    form = ["New batch", "Start", "Search batches"]
    filters = ["All", "Running", "Ended", "Failed", "Interrupted"]
    running = [task["batch_id"] for task in http.get(f"{console.api}/tasks").json()["tasks"]]
    rows = [name for batch_id in running for name in (batch_id, f"Stop: {batch_id}")]
    slots = page.locator(".slot .id").all_inner_texts()
    assert sorted(slots) == sorted(running)
    order = [*frame, *slots, *form, *filters, *rows]
    assert tabbed(page, len(order)) == order
    open_page(page, console, f"/batch/{RUNNING[0]}")
    minutes = [
        "15 min",
        "1 h",
        "6 h",
        "24 h",
        "Download",
        "Average, minimum and maximum per minute",
    ]
    below = ["Show as table", "Pause"]
    whole = [*frame, "Stop", "Values of the last 60 s", *minutes, *below]
    assert tabbed(page, len(whole)) == whole
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")


def test_a_chart_tells_its_points_to_the_keyboard(console: RunningApp, page: Page) -> None:
    open_page(page, console, f"/batch/{FINISHED}")
    page.get_by_label("Average, minimum and maximum per minute").focus()
    page.keyboard.press("ArrowRight")
    told = page.locator(".minutes .recharts-tooltip-wrapper")
    told.get_by_text("UTC").wait_for()
    assert re.search(r"avg: \d+\.\d\d\b", told.inner_text())


def test_the_skip_link_leads_past_the_frame(console: RunningApp, page: Page) -> None:
    open_page(page, console, f"/batch/{RUNNING[0]}")
    assert tabbed(page, 1) == ["Skip to content"]
    page.keyboard.press("Enter")
    assert tabbed(page, 1) == ["Stop"]


def test_a_batch_is_stopped_and_started_without_a_mouse(console: RunningApp, page: Page) -> None:
    open_page(page, console, f"/batch/{RUNNING[4]}")
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


def test_before_the_scripts_run_there_is_a_title_and_a_main_part(console: RunningApp) -> None:
    for path in ("/", f"/batch/{RUNNING[0]}"):
        text = http.get(console.url + path, headers={"Accept": "text/html"}).text
        assert re.search("<title>(Batches · )?SOLO</title>", text)
        assert '<main class="main" id="main">' in text


def test_rows_that_look_like_cards_are_rows_to_whoever_hears_them(
    console: RunningApp, page: Page
) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    open_page(page, console, "/")
    row = page.get_by_role("table").get_by_role("row").nth(1)
    assert row.get_by_role("cell").count() == 8
    assert page.get_by_role("columnheader", name="Avg, 1 min").count() == 1


def test_colours_of_the_system_leave_dots_and_choices_to_be_seen(
    console: RunningApp, page: Page
) -> None:
    page.emulate_media(forced_colors="active")
    open_page(page, console, "/")
    for part, pseudo in ((".connection .dot", None), (".batches .pill", "::before")):
        edge = page.locator(part).first.evaluate(
            "(it, pseudo) => getComputedStyle(it, pseudo).borderTopWidth", pseudo
        )
        assert float(edge.removesuffix("px")) >= 2
    grounds = page.locator(".segmented button").evaluate_all(
        "all => all.map((it) => getComputedStyle(it).backgroundColor)"
    )
    assert len(set(grounds)) == 2


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
    open_page(page, console, f"/batch/{RUNNING[2]}")
    page.get_by_role("button", name="Stop").click()
    toast = page.locator("[data-sonner-toast]")
    toast.get_by_role("button", name="Start again").click()
    page.get_by_text(f"Started {RUNNING[2]}").wait_for()
    page.get_by_role("button", name="Theme").click()
    page.wait_for_timeout(1000)  # As long as a motion might take.
    assert page.evaluate("[...window.moving]") == []
