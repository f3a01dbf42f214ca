"""Point to screen: the time from the production of a point to its frame in a real browser.

The points of the default source, 4 per second, on the page of their batch. The delay of a point
depends on its phase relative to the ticks, which is constant during a run, so each round starts a
new run.
"""

from __future__ import annotations

import time
from datetime import timedelta

import httpx

from bench.app import running_app
from bench.figures import Figure, NotMeasuredError, all_of_them, under
from bench.places import folder
from bench.progress import say
from bench.samples import percentile
from bench.scale import Scale
from solo_app.batches.models import utc_now
from tests.helpers.browser import BROWSER_ARGS, find_browser

_BATCH = "point-to-screen"
_NOTE = (
    "Headless Chromium on the pages of `reflex run --env prod`. A point is drawn at the end of the "
    "frame in which its row appears in the table of the latest points and its line in the chart."
)

_WATCH = """
() => {
  const table = document.querySelector("table.points");
  const times = () => [...table.querySelectorAll("time")].map((time) => time.dateTime);
  const before = new Set(times());
  const drawn = {};
  const channel = new MessageChannel();
  // A message posted in a callback of a frame is handled after the frame.
  channel.port1.onmessage = () => {
    const now = performance.timeOrigin + performance.now();
    for (const time of times()) if (!before.has(time)) drawn[time] ??= now - Date.parse(time);
  };
  const onChange = () => requestAnimationFrame(() => channel.port2.postMessage(null));
  const changes = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(onChange).observe(table, changes);
  window.drawn = drawn;
}
"""


def measure(scale: Scale) -> list[Figure]:
    """Measure in several rounds, each with a new run and a reloaded page."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NotMeasuredError("needs requirements-dev.txt") from None
    browser_path = find_browser()
    if browser_path is None:
        raise NotMeasuredError("needs Chromium or Chrome, but none was found")
    rounds: list[list[float]] = []
    shares: list[float] = []
    with (
        folder() as place,
        running_app(place, place / "app.duckdb", pages=True) as app,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=browser_path, args=BROWSER_ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for number in range(1, scale.pick(1, 6) + 1):
            say(f"point to screen, round {number}")
            httpx.post(f"{app.api}/stream/{_BATCH}").raise_for_status()
            page.goto(f"{app.url}/batch/{_BATCH}")
            page.wait_for_selector("table.points time")
            page.wait_for_selector(".recharts-line path")
            page.evaluate(_WATCH)
            time.sleep(scale.pick(2, 5))
            drawn: dict[str, float] = page.evaluate("() => window.drawn")
            rounds.append(list(drawn.values()))
            shares.append(_share(app.api, drawn))
            httpx.delete(f"{app.api}/stream/{_BATCH}").raise_for_status()
        browser.close()
    return _figures(rounds, shares)


def _share(api: str, drawn: dict[str, float]) -> float:
    """Return the percentage drawn of the points from the first drawn one to a second ago."""
    until = utc_now() - timedelta(seconds=1)
    count = httpx.get(f"{api}/batches/{_BATCH}").json()["row_count"]
    response = httpx.get(f"{api}/batches/{_BATCH}/points?after={max(0, count - 100)}")
    stored = [point["ts"] for point in response.raise_for_status().json()["points"]]
    # The page shows times in whole milliseconds.
    due = [f"{ts[:23]}Z" for ts in stored if ts < until.isoformat()]
    due = [ts for ts in due if ts >= min(drawn)]
    return 100 * sum(ts in drawn for ts in due) / len(due)


def _figures(rounds: list[list[float]], shares: list[float]) -> list[Figure]:
    together = [delay for delays in rounds for delay in delays]
    p95s = [percentile(delays, 95) for delays in rounds]
    return [
        Figure("points drawn", "%", shares, better="more", targets=(all_of_them(),)),
        Figure(
            "produced to drawn, p50",
            "ms",
            [percentile(delays, 50) for delays in rounds],
            note=_NOTE,
        ),
        Figure("produced to drawn, p95", "ms", p95s, targets=(under(500, "ms"),)),
        Figure(
            "produced to drawn, p95 over all rounds",
            "ms",
            [percentile(together, 95)],
            targets=(under(500, "ms"),),
        ),
    ]
