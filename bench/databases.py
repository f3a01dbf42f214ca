"""Databases of a given size: five batches with rows of the last 42 minutes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from bench import template
from bench.app import BATCHES
from solo_app.batches.minutes import last_full_minute
from solo_app.batches.models import RestartPolicy, utc_now
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers, Parameters, SourceKind
from solo_app.storage.duckdb.store import DuckDBStore

_SPAN = 2_500
"""Seconds. The app caches the minutes of the last hour."""

_INSERT_TEMPLATE_ROWS = """
INSERT INTO data SELECT 'batch-' || (1 + i % $batches),
    strftime(
        $start::TIMESTAMP + to_microseconds(i * $microseconds // $rows), '%Y-%m-%dT%H:%M:%S.%f'
    ),
    '{"key": ' || floor(random() * 101)::INTEGER || '}'
FROM range($rows) numbers(i)
"""


def write_database(database: Path, rows: int) -> datetime:
    """Write rows (a multiple of 12,500) through the service. Blocks.

    Returns the end of the last full minute with rows, in naive UTC.
    """
    end = last_full_minute(utc_now()).end
    asyncio.run(_write(database, rows // (_SPAN * len(BATCHES)), end - timedelta(seconds=_SPAN)))
    return end


def source_kind(numbers: Callable[[], AsyncIterator[Numbers]]) -> SourceKind:
    """Return a source kind without parameters."""
    return SourceKind("benchmark", "", Parameters, lambda _, __: numbers(), RestartPolicy.NEVER)


async def _write(database: Path, rows_per_second: int, start: datetime) -> None:
    now = start

    def source(seed: int) -> SourceKind:
        async def numbers() -> AsyncIterator[Numbers]:
            nonlocal now
            generator = np.random.default_rng(seed)
            for second in range(_SPAN):
                array = generator.integers(0, 100, rows_per_second, endpoint=True).astype(float)
                # The producer reads the clock next, without a switch to another task.
                now = start + timedelta(seconds=second)
                yield array
                await asyncio.sleep(0)

        return source_kind(numbers)

    sources = {name: source(seed) for seed, name in enumerate(BATCHES)}
    service = BatchService(DuckDBStore(database), sources, lambda: now)
    await service.open()
    for name in BATCHES:
        await service.start(name, source=name)
    while service.running():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    row_count = service.totals().row_count
    await service.close()
    assert row_count == rows_per_second * _SPAN * len(BATCHES), row_count


def write_template_database(database: Path, rows: int, end: datetime) -> None:
    """Write the rows of the baseline, up to the end that ``write_database`` returned."""
    connection = duckdb.connect(database)
    connection.execute(template.TABLE)
    connection.execute(
        _INSERT_TEMPLATE_ROWS,
        {
            "batches": len(BATCHES),
            "start": end - timedelta(seconds=_SPAN),
            "microseconds": _SPAN * 1_000_000,
            "rows": rows,
        },
    )
    # Creating the index last is faster.
    connection.execute(template.INDEX)
    connection.close()
