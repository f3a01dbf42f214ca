"""The values, tables, charts and totals of one update are consistent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.actions import open_page, start
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")

UPDATES = 20
"""The number of updates to check."""

SAMPLE = """([sample, wanted]) => new Promise((resolve) => {
    const read = new Function("number", "text", `return ${sample}`);
    const text = (selector) => document.querySelector(selector).innerText;
    const number = (text) => Number(text.replace(/[^\\d.]/g, ""));
    const found = [];
    const frame = () => {
        const seen = JSON.stringify(read(number, text));
        if (seen !== found.at(-1)) found.push(seen);
        if (found.length < wanted) requestAnimationFrame(frame);
        else resolve(found.map(JSON.parse));
    };
    frame();
})"""
"""Read the page in each frame until ``wanted`` different results are found."""

BATCH = """(() => {
    const first = document.querySelector("table.points tbody tr");
    const facts = document.querySelectorAll(".status-line .facts > span");
    const ticks = [...document.querySelectorAll(".live-chart .recharts-yAxis-tick-labels text")]
      .map((tick) => [Number(tick.getAttribute("y")), number(tick.textContent)]);
    const [[y0, v0], [y1, v1]] = [ticks[0], ticks.at(-1)];
    const curve = document.querySelector(".live-chart .recharts-line-curve").getAttribute("d");
    const y = Number(curve.match(/-?[\\d.]+$/)[0]);
    return {
      latest: number(text(".latest-value")),
      first: number(first.querySelector(".key").innerText),
      seq: number(first.querySelector(".seq").innerText),
      rows: number(facts[3].innerText),
      minute: number(text(".point-count").split("point")[0]),
      drawn: v0 + ((y - y0) * (v1 - v0)) / (y1 - y0),
    };
})()"""
"""The batch page: latest value, first row of the table, counts, end of the line."""

HOME = """(() => {
    const rows = [...document.querySelectorAll("table.batches tbody tr")];
    const cell = (id, name) => rows.find((row) => row.querySelector(".id").innerText === id)
      .querySelector(name).innerText;
    const slots = [...document.querySelectorAll("a.slot")].map((slot) => {
      const id = slot.querySelector(".id").innerText;
      return [id, slot.querySelector(".value").innerText, cell(id, ".latest")];
    });
    const counts = rows.map((row) => number(row.querySelector(".rows").innerText));
    return { slots, rows: number(text(".stat dd")), sum: counts.reduce((a, b) => a + b, 0) };
})()"""
"""The home page: value in the slot and in the table of each batch, sum and total of rows."""


def samples(page: Page, sample: str) -> list[dict[str, Any]]:
    """Return distinct states of a page, each read within one frame."""
    found: list[dict[str, Any]] = page.evaluate(SAMPLE, [sample, UPDATES])
    return found


@in_both_modes
def test_batch_page_is_consistent(page: Page, app: RunningApp) -> None:
    start(app, "consistent")
    open_page(page, app, "/batch/consistent")
    expect(page.locator("td.seq").nth(9)).to_be_visible()
    expect(page.locator(".live-chart .recharts-line-curve")).to_be_visible()
    for seen in samples(page, BATCH):
        assert seen["latest"] == seen["first"] == pytest.approx(seen["drawn"], abs=0.6), seen
        assert seen["seq"] == seen["rows"] == seen["minute"], seen


def test_home_page_is_consistent(page: Page, app: RunningApp) -> None:
    for batch_id in ("consistent-1", "consistent-2"):
        start(app, batch_id)
    open_page(page, app, "/")
    expect(page.locator("a.slot .value").nth(1)).to_have_text(re.compile(r"\d"))
    seen = samples(page, HOME)
    # Batches of other tests may be on other pages of the table.
    others = {state["rows"] - state["sum"] for state in seen}
    assert len(others) == 1, seen
    for state in seen:
        assert len(state["slots"]) == 2
        assert all(in_slot == in_table for _, in_slot, in_table in state["slots"]), state
