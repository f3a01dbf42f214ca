"""Live pages: 100 and 1,000 open pages of five batches at 4 Hz, and one page in a browser."""

from __future__ import annotations

import logging
import time

import httpx
import numpy as np
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import sync_playwright

from bench import clients
from bench.app import BATCHES, Server, run_separately, running_app, work_folder
from bench.page_clients import measure_pages
from bench.report import Table
from tests.helpers.browser import BROWSER_ARGS, find_browser

logger = logging.getLogger(__name__)

_BATCH_PATHS = tuple(f"/batch/{name}" for name in BATCHES)
_CASES = {
    "100 batch pages": (_BATCH_PATHS, 100),
    "1,000 batch pages": (_BATCH_PATHS, 1_000),
    "1,000 home pages": (("/",), 1_000),
}
_QUICK_CASES = {"20 batch pages": (_BATCH_PATHS, 20), "20 home pages": (("/",), 20)}

# A point is on the screen at the end of the frame in which its row appears in the table. A message
# posted during a frame is handled after the frame.
_OBSERVE = """
() => {
  const table = document.querySelector("table.points");
  const times = () => [...table.querySelectorAll("time")].map((time) => time.dateTime);
  const before = new Set(times());
  const delays = {};
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    const now = performance.timeOrigin + performance.now();
    for (const time of times()) if (!before.has(time)) delays[time] ??= now - Date.parse(time);
  };
  const onChange = () => requestAnimationFrame(() => channel.port2.postMessage(null));
  const changes = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(onChange).observe(table, changes);
  window.delays = delays;
}
"""


def measure(quick: bool) -> list[Table]:
    table = Table("Live pages: open pages of five batches at 4 Hz", *clients.COLUMNS)
    settle, seconds = (1, 2) if quick else (2, 5)
    cases = _QUICK_CASES if quick else _CASES
    for number in range(1 if quick else 3):
        for case, (paths, count) in cases.items():
            logger.info("Live pages, round %d: %s", number + 1, case)
            with work_folder() as folder, running_app(folder, folder / "app.duckdb") as server:
                server.start_batches()
                arguments = (server, paths, count, settle, seconds)
                table.add(case, run_separately(measure_pages, *arguments))
    for case in list(_CASES)[-2:]:
        table.target(case, clients.DELIVERED, at_least=100)
        table.target(case, clients.P99, below=1_000)
        table.target(case, clients.CPU, below=40)
    return [table, *_measure_screen(quick)]


def _measure_screen(quick: bool) -> list[Table]:
    """Measure in a browser, if there is one.

    The delay depends on the phase of the points relative to the ticks, which is constant during a
    run, so each round starts a new run.
    """
    executable = find_browser()
    if executable is None:
        logger.warning("No Chromium or Chrome found: point to screen is not measured")
        return []
    table = Table("Point to screen: one page in headless Chromium", "p50 (ms)", "p95 (ms)")
    with (
        work_folder() as folder,
        running_app(folder, folder / "app.duckdb", pages=True) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=executable, args=BROWSER_ARGS) as browser,
    ):
        page = browser.new_page()
        for number in range(1 if quick else 5):
            logger.info("Point to screen, round %d", number + 1)
            delays = _observe_points(server, page, 2 if quick else 4)
            p50, p95 = (float(value) for value in np.percentile(delays, (50, 95)))
            table.add("from produced to drawn", {"p50 (ms)": p50, "p95 (ms)": p95})
    table.target("from produced to drawn", "p95 (ms)", below=500)
    return [table]


def _observe_points(server: Server, page: BrowserPage, seconds: float) -> list[float]:
    name = BATCHES[0]
    httpx.post(f"{server.url}/stream/{name}").raise_for_status()
    page.goto(f"{server.url}/batch/{name}")
    page.wait_for_selector("table.points time")
    page.wait_for_selector(".recharts-line path")
    page.evaluate(_OBSERVE)
    time.sleep(seconds)
    delays: dict[str, float] = page.evaluate("() => window.delays")
    httpx.delete(f"{server.url}/stream/{name}").raise_for_status()
    return list(delays.values())
