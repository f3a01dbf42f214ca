"""Keyboard navigation, names and roles, forced colors, reduced motion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.actions import open_page
from tests.helpers.history import FINISHED, RUNNING
from tests.helpers.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Page


FOCUSED = """() => {
  const it = document.activeElement;
  const name = it.getAttribute('aria-label') ?? it.labels?.[0]?.textContent
    ?? (it.title || it.textContent);
  const { outlineStyle, outlineWidth } = getComputedStyle(it);
  const box = it.getBoundingClientRect();
  const hasOutline = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  return name + (hasOutline && box.width > 1 && box.height > 1 ? '' : ' (invisible focus)');
}"""
"""The name of the focused element."""


def press_tab(page: Page, count: int) -> list[str]:
    """Press Tab ``count`` times and return the name of the focused element after each."""
    names = []
    for _ in range(count):
        page.keyboard.press("Tab")
        names.append(page.evaluate(FOCUSED))
    return names


def test_tab_order_follows_the_layout(console: RunningApp, page: Page) -> None:
    open_page(page, console, "/")
    header = ["Skip to content", "SOLO, all batches", "Keyboard shortcuts", "Theme: system"]
    form = ["Name", "Source", "More", "Start"]
    filters = ["Search batches", "All", "Running", "Ended", "Failed", "Interrupted"]
    running = [task["batch_id"] for task in http.get(f"{console.api}/tasks").json()["tasks"]]
    rows = [name for batch_id in running for name in (batch_id, f"Stop: {batch_id}")]
    slots = page.locator(".slot .id").all_inner_texts()
    assert sorted(slots) == sorted(running)
    order = [*header, *form, *slots, *filters, *rows]
    assert press_tab(page, len(order)) == order
    open_page(page, console, f"/batch/{RUNNING[0]}")
    minutes = [
        "15 min",
        "1 h",
        "6 h",
        "24 h",
        "Download",
        "Average, minimum and maximum per minute",
    ]
    lines = page.get_by_role("button", name=re.compile(r"^All \d+$")).inner_text()
    log = ["Log", lines, "Errors 0", "Copy", "Download the log", "Log"]
    below = ["Show as table", *log, "Pause", "Add unit"]
    whole = [*header, "Add description", "Stop", "Values of the last 60 s", *minutes, *below]
    assert press_tab(page, len(whole)) == whole
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")


def test_arrow_keys_show_values_in_a_chart(console: RunningApp, page: Page) -> None:
    open_page(page, console, f"/batch/{FINISHED}")
    page.get_by_label("Average, minimum and maximum per minute").focus()
    page.keyboard.press("ArrowRight")
    tooltip = page.locator(".minutes .recharts-tooltip-wrapper")
    tooltip.get_by_text("UTC").wait_for()
    assert re.search(r"avg: \d+\.\d\d\b", tooltip.inner_text())


def test_skip_link_focuses_the_content(console: RunningApp, page: Page) -> None:
    open_page(page, console, f"/batch/{RUNNING[0]}")
    assert press_tab(page, 1) == ["Skip to content"]
    page.keyboard.press("Enter")
    assert press_tab(page, 1) == ["Add description"]


def test_page_has_title_and_landmark_without_scripts(console: RunningApp) -> None:
    for path in ("/", f"/batch/{RUNNING[0]}"):
        text = http.get(console.url + path, headers={"Accept": "text/html"}).text
        assert re.search("<title>(Batches · )?SOLO</title>", text)
        assert '<main class="main" id="main">' in text


def test_cards_on_a_phone_have_the_roles_of_a_table(console: RunningApp, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    open_page(page, console, "/")
    row = page.get_by_role("table").get_by_role("row").nth(1)
    assert row.get_by_role("cell").count() == 8
    assert page.get_by_role("columnheader", name="Avg, 1 min").count() == 1


def test_status_and_selection_are_visible_with_forced_colors(
    console: RunningApp, page: Page
) -> None:
    page.emulate_media(forced_colors="active")
    open_page(page, console, "/")
    for part, pseudo in ((".connection .dot", None), (".batches .pill", "::before")):
        edge = page.locator(part).first.evaluate(
            "(it, pseudo) => getComputedStyle(it, pseudo).borderTopWidth", pseudo
        )
        assert float(edge.removesuffix("px")) >= 2
    backgrounds = page.locator(".segmented button").evaluate_all(
        "all => all.map((it) => getComputedStyle(it).backgroundColor)"
    )
    assert len(set(backgrounds)) == 2


TEN_FRAMES = """() => new Promise((resolve) => {
  let count = 0;
  const frame = () => (++count === 10 ? resolve() : requestAnimationFrame(frame));
  frame();
})"""
"""Wait for ten rendered frames."""


def test_reduced_motion_disables_all_animations(console: RunningApp, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.add_init_script(
        """window.animated = new Set();
        (function record() {
          for (const animation of document.getAnimations()) {
            if (animation.playState === 'running') {
              window.animated.add(animation.effect.target.outerHTML.slice(0, 200));
            }
          }
          requestAnimationFrame(record);
        })();"""
    )
    open_page(page, console, f"/batch/{RUNNING[2]}")
    page.get_by_role("button", name="Stop").click()
    toast = page.locator("[data-sonner-toast]")
    toast.get_by_role("button", name="Start again").click()
    page.get_by_text(f"Started {RUNNING[2]}").wait_for()
    page.get_by_role("button", name="Theme").click()
    page.evaluate(TEN_FRAMES)
    assert page.evaluate("[...window.animated]") == []
