"""Writes databases with ended batches, for tests that need history."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from solo_app.batches.models import MICROSECOND, utc_now
from solo_app.batches.source import Numbers
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.service import FakeClock, open_service, wait_until

INTERVAL = timedelta(seconds=0.25)
_HOUR = timedelta(hours=1)

RUNNING = ("sensor-a", "sensor-b", "line-3.pressure", "lab_7", "night-watch")
"""Batches with an hour of data and a gap. They are stopped: a test starts them again."""

FAILED, FINISHED = "import.2026-11", "calibration"
FAST = "vibration"
"""The batch of ``write_fast_history``."""
FAILURE_REASON = "The instrument at port 3 does not answer."


@dataclass(frozen=True)
class HistoricRun:
    """A run that started ``ago`` before now, lasted ``lasted`` and ended with a status."""

    batch_id: str
    ago: timedelta
    lasted: timedelta
    status: str = "stopped"


def write_history(
    database: Path, runs: Sequence[HistoricRun] | None = None, interval: timedelta = INTERVAL
) -> None:
    """Write runs with random points into a new database."""
    work = _write_runs(database, runs or _default_runs(), interval)
    with ThreadPoolExecutor(1) as thread:  # The caller may already run an event loop.
        thread.submit(asyncio.run, work).result()


def write_fast_history(database: Path) -> None:
    """Write a stopped batch with 50 points per second."""
    run = HistoricRun(FAST, timedelta(seconds=90), timedelta(seconds=80))
    write_history(database, [run], timedelta(seconds=0.02))


def write_long_history(
    database: Path, batch_ids: Sequence[str], points: int, interval: timedelta, end: datetime
) -> None:
    """Write stopped batches with many points into a new database, with a few SQL statements.

    Each batch has ``points`` points with random integers from 0 to 100. They are ``interval``
    apart, and the last one is before ``end``.
    """
    with ThreadPoolExecutor(1) as thread:
        thread.submit(
            asyncio.run, _insert_points(database, batch_ids, points, interval, end)
        ).result()


_INSERTS = (
    "INSERT INTO batches (no, batch_id, created_at) "
    "SELECT nextval('batch_no'), unnest($batch_ids), $began",
    "INSERT INTO runs "
    "(batch_no, number, source, status, started_at, ended_at, first_seq, last_seq) "
    "SELECT no, 1, 'random', 'stopped', $began, $end, 1, $points FROM batches",
    "INSERT INTO points SELECT no, i + 1, $began + to_microseconds(i * $interval), "
    "(hash(i * 31 + no) % 101)::DOUBLE FROM range($points) numbers(i), batches ORDER BY i, no",
    "INSERT INTO minutes SELECT batch_no, date_trunc('minute', ts), count(*), sum(key), "
    "min(key), max(key) FROM points GROUP BY ALL",
    "INSERT INTO counters SELECT no, $points, $points FROM batches",
)


async def _insert_points(
    database: Path, batch_ids: Sequence[str], points: int, interval: timedelta, end: datetime
) -> None:
    values = {
        "batch_ids": list(batch_ids),
        "began": end - interval * points,
        "end": end,
        "interval": interval // MICROSECOND,
        "points": points,
    }
    store = DuckDBStore(database)
    await store.open()  # Creates the tables.
    await store.close()
    with duckdb.connect(database) as connection:
        connection.execute("BEGIN")
        for statement in _INSERTS:
            named = {name: values[name] for name in values if re.search(rf"\${name}\b", statement)}
            connection.execute(statement, named)
        connection.execute("COMMIT")


async def _write_runs(database: Path, runs: Sequence[HistoricRun], interval: timedelta) -> None:
    now = utc_now()
    for run in sorted(runs, key=lambda run: run.ago, reverse=True):
        await _write_run(database, run, now - run.ago, interval)


def _default_runs() -> list[HistoricRun]:
    runs = []
    for n, batch_id in enumerate(RUNNING):
        started_ago = _HOUR * (1.1 + 0.3 * n)
        runs += [
            HistoricRun(batch_id, started_ago, started_ago - _HOUR * 0.6),
            HistoricRun(batch_id, _HOUR * 0.45, _HOUR * 0.45 - INTERVAL),
        ]
    return [
        *runs,
        HistoricRun(FAILED, _HOUR * 5, _HOUR * 0.8, "failed"),
        HistoricRun(FINISHED, _HOUR * 7, _HOUR * 0.5, "finished"),
        HistoricRun("torque-rig", _HOUR * 20, _HOUR * 1.5),
        HistoricRun("furnace.2", _HOUR * 26, _HOUR, "interrupted"),
        HistoricRun("first-try", _HOUR * 50, _HOUR * 0.02),
    ]


async def _write_run(
    database: Path, run: HistoricRun, began: datetime, interval: timedelta
) -> None:
    clock = FakeClock(began.isoformat())

    async def source() -> AsyncIterator[Numbers]:
        numbers = random.Random(run.batch_id)
        while clock.now < began + run.lasted:
            yield float(numbers.randint(0, 100))
            clock.now += interval
        if run.status == "failed":
            raise ConnectionError(FAILURE_REASON)
        if run.status != "finished":
            await asyncio.Event().wait()

    async with open_service(database, clock, random=source) as service:
        await service.start(run.batch_id)
        if run.status in ("failed", "finished"):
            await wait_until(lambda: not service.running(), timeout=30)
            return
        await wait_until(lambda: clock.now >= began + run.lasted, timeout=30)
        if run.status == "stopped":
            await service.stop(run.batch_id)
