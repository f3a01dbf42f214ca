"""Restart: killed with -9 at full ingest, to the first right answer of `/agg`.

The answer is right when it counts what the table holds, read by itself afterwards, and no fewer
points than the app had told of before it was killed.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx

from bench import rows
from bench.app import running_app
from bench.figures import Figure, told, under
from bench.places import folder
from bench.progress import say
from bench.scale import Scale
from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import MINUTE, utc_now
from solo_app.config import HOST
from tests.helpers.running_app import BACKEND_ONLY, RunningApp

_NAME = rows.NAMES[0]
_LOOK_EVERY = 0.005
_GIVE_UP_AFTER = 120

_NOTE = (
    "From the start of the process to the answer. The worker alone is `reflex run --env prod "
    "--backend-only`; the whole command also compiles and builds the pages."
)


@dataclass(frozen=True, slots=True)
class Killed:
    """What was known of the first batch at the end: when, and how many points it had."""

    at: datetime
    row_count: int


def measure(scale: Scale) -> list[Figure]:
    """The worker alone, on the large database and on none; in full the whole command too."""
    size = scale.pick(1_000_000, 100_000_000)
    rounds = scale.pick(1, 3)
    with folder() as place:
        say(f"restart: writing {size:,} rows")
        large = place / "large.duckdb"
        rows.write(large, size)
        whole: list[float] = []
        whole_on_none: list[float] = []
        alone = [_round(place, large) for _ in range(rounds)]
        if scale is Scale.FULL:
            app = RunningApp(place / "app", place / "pages.duckdb", "prod")
            _install_packages(app)
            port = app.backend_port
            whole = [_round(place, large, port) for _ in range(rounds)]
            whole_on_none = [_start(place, place / f"none-{n}.duckdb", port) for n in range(rounds)]
        baseline = [_start(place, place / f"new-{n}.duckdb") for n in range(rounds)]
    figures = [
        Figure(
            f"{told(size)} rows and more, killed -9, the worker alone",
            "s",
            alone,
            targets=(under(2, "s"),),
            note=_NOTE,
        ),
        Figure("the worker alone on no rows at all, to its first answer", "s", baseline),
    ]
    if whole:
        figures.append(
            Figure("the first, but the whole command, which builds the pages", "s", whole)
        )
        figures.append(Figure("the whole command on no rows at all", "s", whole_on_none))
    return figures


def _install_packages(app: RunningApp) -> None:
    """Have the packages of the pages installed, as the start before the kill did."""
    say("restart: installing the packages of the pages")
    try:
        app.start()
    finally:
        app.stop()


def _round(place: Path, database: Path, pages_on: int | None = None) -> float:
    """Seconds from the start after a kill to a right answer; with pages on a port, or without."""
    with running_app(place, database, {"SOLO_INTERVAL": "0"}) as app:
        for name in rows.NAMES:
            httpx.post(f"{app.api}/stream/{name}").raise_for_status()
        time.sleep(2)
        counted = httpx.get(f"{app.api}/batches/{_NAME}").json()["row_count"]
        killed = Killed(utc_now(), counted)
        app.kill()
    again = RunningApp(place / "app", database, "prod", {} if pages_on else BACKEND_ONLY)
    again.backend_port = again.frontend_port = pages_on or app.backend_port
    # The minute in which it was killed, asked for as if it were over.
    path = f"/agg/{_NAME}?at={(start_of_minute(killed.at) + MINUTE).isoformat()}Z"
    began = time.perf_counter()
    try:
        again.launch()
        answer = _first_answer(again, path)
        took = time.perf_counter() - began
    finally:
        again.stop()
    _check(database, killed, answer)
    say(f"restart: {took:.2f} s, {answer['count']:,} points in the minute of the kill")
    return took


def _start(place: Path, database: Path, pages_on: int | None = None) -> float:
    app = RunningApp(place / "app", database, "prod", {} if pages_on else BACKEND_ONLY)
    app.backend_port = app.frontend_port = pages_on or app.backend_port
    began = time.perf_counter()
    try:
        app.launch()
        _first_answer(app, "/tasks")
        return time.perf_counter() - began
    finally:
        app.stop()


def _first_answer(app: RunningApp, path: str) -> Mapping[str, Any]:
    deadline = time.monotonic() + _GIVE_UP_AFTER
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(HOST, app.backend_port, timeout=5)
            connection.request("GET", path, headers={"Accept": "application/json"})
            response = connection.getresponse()
            body = response.read()
            connection.close()
            if response.status == 200:
                answer: Mapping[str, Any] = json.loads(body)
                return answer
        time.sleep(_LOOK_EVERY)
    raise TimeoutError(app.output())


def _check(database: Path, killed: Killed, answer: Mapping[str, Any]) -> None:
    minute = start_of_minute(killed.at)
    with duckdb.connect(database, read_only=True) as connection:
        ((batch_no,),) = connection.execute(
            "SELECT no FROM batches WHERE batch_id = ?", [_NAME]
        ).fetchall()
        ((row_count,),) = connection.execute(
            "SELECT count(*) FROM points WHERE batch_no = ?", [batch_no]
        ).fetchall()
        (true,) = connection.execute(
            "SELECT count(*), sum(key) FROM points WHERE batch_no = ? AND ts >= ? AND ts < ?",
            [batch_no, minute, minute + MINUTE],
        ).fetchall()
    assert (answer["count"], answer["sum"]) == true, (answer, true)
    assert row_count >= killed.row_count, (row_count, killed)
