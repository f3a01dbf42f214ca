"""Start: the time from `reflex run` to the first API response and the first page."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

import httpx

from bench.app import BATCHES, create_app, work_folder
from bench.databases import write_database
from bench.report import Table
from tests.helpers.running_app import RunningApp, copy_project, http

logger = logging.getLogger(__name__)

_TIMEOUT = 120
_POLL_INTERVAL = 0.005
_NEW_CHECKOUT = "development, new checkout"
_API, _PAGE = "first API response (s)", "first page (s)"


def measure(quick: bool) -> list[Table]:
    table = Table("Start: seconds from `reflex run`", _API, _PAGE)
    rounds, size = (1, 100_000) if quick else (3, 100_000_000)
    with work_folder() as folder:
        for number in range(rounds):
            logger.info("First start, round %d", number + 1)
            table.add(_NEW_CHECKOUT, _time_first_start(folder / f"checkout-{number}"))
        logger.info("Start: writing %s rows", f"{size:,}")
        write_database(folder / "large.duckdb", size)
        for mode, has_pages in (("server only", False), ("production", True)):
            app = create_app(folder, folder / "first.duckdb", {"SOLO_INTERVAL": "0"}, has_pages)
            _time_start(app, has_pages)  # Installs the packages of the pages.
            for number in range(rounds):
                logger.info("Start, %s, round %d", mode, number + 1)
                app.database = folder / f"{mode}-{number}.duckdb"
                table.add(f"{mode}, new database", _time_start(app, has_pages))
                app.database = folder / "large.duckdb"
                for end, how in ((app.stop, "clean stop"), (app.kill, "kill -9")):
                    _write_at_full_speed(app)
                    end()
                    case = f"{mode}, {size:,} rows, after {how}"
                    table.add(case, _time_start(app, has_pages))
    table.target(_NEW_CHECKOUT, _PAGE, below=8)
    table.target(f"server only, {size:,} rows, after kill -9", _API, below=2)
    return [table]


def _time_first_start(folder: Path) -> dict[str, float]:
    """Time the first start of a new checkout in development, with Python packages installed."""
    checkout = copy_project(folder / "solo")
    return _time_start(RunningApp(checkout, checkout / ".solo" / "solo.duckdb", "dev"), True)


def _time_start(app: RunningApp, has_pages: bool) -> dict[str, float]:
    began = time.perf_counter()
    try:
        app.launch()
        figures = {_API: _wait_for(app, f"{app.api}/tasks") - began}
        if has_pages:
            figures[_PAGE] = _wait_for(app, f"{app.url}/") - began
        return figures
    finally:
        app.stop()


def _wait_for(app: RunningApp, url: str) -> float:
    """Return the time of the first response with status 200. Raises TimeoutError."""
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if http.get(url, headers={"Accept": "text/html, application/json"}).is_success:
                return time.perf_counter()
        time.sleep(_POLL_INTERVAL)
    raise TimeoutError(app.output())


def _write_at_full_speed(app: RunningApp) -> None:
    app.start()
    for name in BATCHES:
        httpx.post(f"{app.api}/stream/{name}").raise_for_status()
    time.sleep(1)
