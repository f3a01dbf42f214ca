"""Databases of a given size: five batches with rows of the last 41 minutes,
as this app writes them and as the template does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from bench import template
from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import BatchStatus, utc_now
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers, Source
from solo_app.storage.duckdb.store import DuckDBStore

NAMES = tuple(f"batch-{number}" for number in range(1, BATCH_LIMIT + 1))

_SPAN = 2_500
"""Seconds that the rows are spread over: within the hour that the app answers from memory."""

_WRITE_TEMPLATE = """
INSERT INTO data SELECT 'batch-' || (1 + i % $batches),
    strftime(
        $start::TIMESTAMP + to_microseconds(i * $microseconds // $rows), '%Y-%m-%dT%H:%M:%S.%f'
    ),
    '{"key": ' || floor(random() * 101)::INTEGER || '}'
FROM range($rows) numbers(i)
"""


def rows_in_a_minute(rows: int) -> int:
    """How many rows one batch of a database of so many has in each whole minute."""
    return rows * 60 // (_SPAN * BATCH_LIMIT)


def asked_at(end: datetime) -> datetime:
    """As of when to ask for the last whole minute, in rows that end then: in the day of most of
    them. DuckDB passes over blocks whose texts all begin otherwise, and times begin with the day:
    just after midnight the template's way would look at hardly any row.
    """
    midnight = end.replace(hour=0, minute=0)
    few_since = end - midnight < timedelta(seconds=_SPAN / 2)
    return (midnight if few_since else end) + timedelta(seconds=1)


def write(database: Path, rows: int) -> datetime:
    """Write so many rows (a multiple of 12 500) through the service; blocks.

    Returns when the last whole minute that has rows ended, naive UTC.
    """
    end = start_of_minute(utc_now())
    asyncio.run(_write(database, rows // (_SPAN * BATCH_LIMIT), end - timedelta(seconds=_SPAN)))
    return end


async def _write(database: Path, at_once: int, start: datetime) -> None:
    now = start

    def source(seed: int) -> Source:
        async def numbers() -> AsyncIterator[Numbers]:
            nonlocal now
            generator = np.random.default_rng(seed)
            for second in range(_SPAN):
                array = generator.integers(0, 100, at_once, endpoint=True).astype(float)
                # Nothing happens between this and the producer's look at the clock.
                now = start + timedelta(seconds=second)
                yield array
                await asyncio.sleep(0)

        return numbers

    sources = {name: source(seed) for seed, name in enumerate(NAMES)}
    service = BatchService(DuckDBStore(database), sources, lambda: now)
    await service.open()
    for name in NAMES:
        await service.start(name, source=name)
    while service.running():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    ended = {batch.status for batch in service.batches()}
    await service.close()
    assert ended == {BatchStatus.FINISHED}, ended


def write_template(database: Path, rows: int, end: datetime) -> None:
    """Write so many rows of the template's kind in bulk; ``end`` as ``write`` gave it."""
    connection = duckdb.connect(database)
    connection.execute(template.TABLE)
    connection.execute(
        _WRITE_TEMPLATE,
        {
            "batches": BATCH_LIMIT,
            "start": end - timedelta(seconds=_SPAN),
            "microseconds": _SPAN * 1_000_000,
            "rows": rows,
        },
    )
    # Made afterwards, which comes to the same index in less time.
    connection.execute(template.INDEX)
    connection.close()
