"""A database with a past: batches that ended in every way, for pages that need them, or so many
points that only DuckDB itself can make them in a moment.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from solo_app.batches.models import MICROSECOND, utc_now
from solo_app.batches.source import Numbers
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.service import FakeClock, open_service, wait_until

PACE = timedelta(seconds=0.25)
_HOUR = timedelta(hours=1)

RUNNING = ("sensor-a", "sensor-b", "line-3.pressure", "lab_7", "night-watch")
"""Batches with a past hour that a gap divides; whoever wants them running starts them again."""

FAILED, FINISHED = "import.2026-11", "calibration"
FAILURE_REASON = "The instrument at port 3 does not answer."


@dataclass(frozen=True)
class HistoricRun:
    """One run that was: so long ago it began, so long it went on, so it ended."""

    batch_id: str
    ago: timedelta
    lasted: timedelta
    ending: str = "stopped"


def write_history(
    database: Path, runs: Sequence[HistoricRun] | None = None, pace: timedelta = PACE
) -> None:
    """Write runs into a new database as if they had been, until this moment."""
    work = _write(database, runs or _runs(), pace)
    with ThreadPoolExecutor(1) as thread:  # The caller's may have an event loop of its own.
        thread.submit(asyncio.run, work).result()


def write_long_history(
    database: Path, batch_ids: Sequence[str], points: int, pace: timedelta, end: datetime
) -> None:
    """Write batches into a new database as if they had run side by side, and stopped at ``end``.

    Each has so many points, ``pace`` apart, with whole numbers from 0 to 100.
    """
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _fill(database, batch_ids, points, pace, end)).result()


_LONG_PAST = (
    "INSERT INTO batches SELECT nextval('batch_no'), unnest($batch_ids), $began",
    "INSERT INTO runs "
    "(batch_no, number, source, status, started_at, ended_at, first_seq, last_seq) "
    "SELECT no, 1, 'random', 'stopped', $began, $end, 1, $points FROM batches",
    "INSERT INTO points SELECT no, i + 1, $began + to_microseconds(i * $pace), "
    "(hash(i * 31 + no) % 101)::DOUBLE FROM range($points) numbers(i), batches ORDER BY i, no",
    "INSERT INTO minutes SELECT batch_no, date_trunc('minute', ts), count(*), sum(key), "
    "min(key), max(key) FROM points GROUP BY ALL",
    "INSERT INTO counters SELECT no, $points, $points FROM batches",
)


async def _fill(
    database: Path, batch_ids: Sequence[str], points: int, pace: timedelta, end: datetime
) -> None:
    values = {
        "batch_ids": list(batch_ids),
        "began": end - pace * points,
        "end": end,
        "pace": pace // MICROSECOND,
        "points": points,
    }
    store = DuckDBStore(database)

    def fill() -> None:
        with store._point_writer.transaction() as cursor:
            for insert in _LONG_PAST:
                named = {name: values[name] for name in values if re.search(rf"\${name}\b", insert)}
                cursor.execute(insert, named)

    await store.open()
    await store.run_on_writer(fill)
    await store.close()


async def _write(database: Path, runs: Sequence[HistoricRun], pace: timedelta) -> None:
    now = utc_now()
    for run in sorted(runs, key=lambda run: run.ago, reverse=True):
        await _carry_out(database, run, now - run.ago, pace)


def _runs() -> list[HistoricRun]:
    runs = []
    for n, batch_id in enumerate(RUNNING):
        early = _HOUR * (1.1 + 0.3 * n)
        runs += [
            HistoricRun(batch_id, early, early - _HOUR * 0.6),
            HistoricRun(batch_id, _HOUR * 0.45, _HOUR * 0.45 - PACE),
        ]
    return [
        *runs,
        HistoricRun(FAILED, _HOUR * 5, _HOUR * 0.8, "failed"),
        HistoricRun(FINISHED, _HOUR * 7, _HOUR * 0.5, "finished"),
        HistoricRun("torque-rig", _HOUR * 20, _HOUR * 1.5),
        HistoricRun("furnace.2", _HOUR * 26, _HOUR, "interrupted"),
        HistoricRun("first-try", _HOUR * 50, _HOUR * 0.02),
    ]


async def _carry_out(database: Path, run: HistoricRun, began: datetime, pace: timedelta) -> None:
    clock = FakeClock(began.isoformat())

    async def source() -> AsyncIterator[Numbers]:
        numbers = random.Random(run.batch_id)
        while clock.now < began + run.lasted:
            yield float(numbers.randint(0, 100))
            clock.now += pace
        if run.ending == "failed":
            raise ConnectionError(FAILURE_REASON)
        if run.ending != "finished":
            await asyncio.Event().wait()

    async with open_service(database, clock, random=source) as service:
        await service.start(run.batch_id)
        if run.ending in ("failed", "finished"):
            await wait_until(lambda: not service.running(), timeout=30)
            return
        await wait_until(lambda: clock.now >= began + run.lasted, timeout=30)
        if run.ending == "stopped":
            await service.stop(run.batch_id)
