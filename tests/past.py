"""A database with a past: batches that ended in every way, for pages that need them, or so many
points that only DuckDB itself can make them in a moment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from solo_app.batches.model import MICROSECOND, utc_now
from solo_app.batches.sources import Numbers
from tests.workbench import HandClock, open_service, silent, until

PACE = timedelta(seconds=0.25)
_HOUR = timedelta(hours=1)

RUNNING = ("sensor-a", "sensor-b", "line-3.pressure", "lab_7", "night-watch")
"""Batches with a past hour that a gap divides; whoever wants them running starts them again."""

FAILED, FINISHED = "import.2026-11", "calibration"
WHY_IT_FAILED = "The instrument at port 3 does not answer."


@dataclass(frozen=True)
class PastRun:
    """One run that was: so long ago it began, so long it went on, so it ended."""

    batch_id: str
    ago: timedelta
    lasted: timedelta
    ending: str = "stopped"


def write_past(
    database: Path, runs: Sequence[PastRun] | None = None, pace: timedelta = PACE
) -> None:
    """Write runs into a new database as if they had been, until this moment."""
    work = _write(database, runs or _runs(), pace)
    with ThreadPoolExecutor(1) as thread:  # The caller's may have an event loop of its own.
        thread.submit(asyncio.run, work).result()


def write_long_past(
    database: Path, batch_ids: Sequence[str], points: int, pace: timedelta, end: datetime
) -> None:
    """Write batches into a new database as if they had run side by side, and stopped at ``end``.

    Each has so many points, ``pace`` apart, with whole numbers from 0 to 100.
    """
    with ThreadPoolExecutor(1) as thread:
        began = end - pace * points
        thread.submit(asyncio.run, _write_without_points(database, batch_ids, began)).result()
    with duckdb.connect(database) as connection:
        connection.execute(
            "INSERT INTO points SELECT no, i + 1, $began + to_microseconds(i * $pace), "
            "(hash(i * 31 + no) % 101)::DOUBLE "
            "FROM range($points) numbers(i), batches ORDER BY i, no",
            {"began": began, "pace": pace // MICROSECOND, "points": points},
        )
        connection.execute(
            "INSERT INTO minutes SELECT batch_no, date_trunc('minute', ts), count(*), sum(key), "
            "min(key), max(key) FROM points GROUP BY ALL"
        )
        connection.execute("UPDATE runs SET last_seq = ?, ended_at = ?", [points, end])


async def _write_without_points(database: Path, batch_ids: Sequence[str], began: datetime) -> None:
    async with open_service(database, HandClock(began.isoformat()), random=silent) as service:
        for batch_id in batch_ids:
            await service.start(batch_id)
            await service.stop(batch_id)


async def _write(database: Path, runs: Sequence[PastRun], pace: timedelta) -> None:
    now = utc_now()
    for run in sorted(runs, key=lambda run: run.ago, reverse=True):
        await _carry_out(database, run, now - run.ago, pace)


def _runs() -> list[PastRun]:
    runs = []
    for n, batch_id in enumerate(RUNNING):
        early = _HOUR * (1.1 + 0.3 * n)
        runs += [
            PastRun(batch_id, early, early - _HOUR * 0.6),
            PastRun(batch_id, _HOUR * 0.45, _HOUR * 0.45 - PACE),
        ]
    return [
        *runs,
        PastRun(FAILED, _HOUR * 5, _HOUR * 0.8, "failed"),
        PastRun(FINISHED, _HOUR * 7, _HOUR * 0.5, "finished"),
        PastRun("torque-rig", _HOUR * 20, _HOUR * 1.5),
        PastRun("furnace.2", _HOUR * 26, _HOUR, "interrupted"),
        PastRun("first-try", _HOUR * 50, _HOUR * 0.02),
    ]


async def _carry_out(database: Path, run: PastRun, began: datetime, pace: timedelta) -> None:
    clock = HandClock(began.isoformat())

    async def source() -> AsyncIterator[Numbers]:
        numbers = random.Random(run.batch_id)
        while clock.now < began + run.lasted:
            yield float(numbers.randint(0, 100))
            clock.now += pace
        if run.ending == "failed":
            raise ConnectionError(WHY_IT_FAILED)
        if run.ending != "finished":
            await asyncio.Event().wait()

    async with open_service(database, clock, random=source) as service:
        await service.start(run.batch_id)
        if run.ending in ("failed", "finished"):
            await until(lambda: not service.running(), within=30)
            return
        await until(lambda: clock.now >= began + run.lasted, within=30)
        if run.ending == "stopped":
            await service.stop(run.batch_id)
