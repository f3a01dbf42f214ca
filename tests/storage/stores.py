"""Stores with points for tests, without a service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from solo_app.batches.minutes import aggregate_by_minute
from solo_app.batches.models import (
    Batch,
    BatchStatus,
    Block,
    Download,
    MinuteAggregate,
    Run,
    to_microseconds,
)
from solo_app.storage.duckdb.store import DuckDBStore

START = datetime(2026, 3, 1)

SECOND = 1_000_000
"""Microseconds in a second."""


@asynccontextmanager
async def open_store(database: Path) -> AsyncIterator[DuckDBStore]:
    store = DuckDBStore(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def open_run(store: DuckDBStore, batch_id: str = "b", number: int = 1) -> Batch:
    run = Run(number, "random", BatchStatus.RUNNING, START, first_seq=1)
    return await store.open_run(batch_id, run)


def create_block(
    first_seq: int, keys: Sequence[float], batch_no: int = 1, interval: int = SECOND
) -> Block:
    """Return points from ``START`` on. ``interval`` is in microseconds."""
    seqs = np.arange(first_seq, first_seq + len(keys))
    ts = to_microseconds(START) + (seqs - 1) * interval
    return Block(batch_no, first_seq, ts, np.array(keys, float))


def count_by_minute(block: Block) -> dict[int, list[MinuteAggregate]]:
    """Return the minutes to write with a block."""
    return {block.batch_no: aggregate_by_minute(block.ts, block.key)}


async def read_content(download: Download) -> bytes:
    return b"".join([chunk async for chunk in download.chunks])


async def read_table(store: DuckDBStore) -> list[int]:
    """Return the ``seq`` of all points in the database, without those in the archive."""
    return await store.run_on_reader(
        lambda cursor: [seq for (seq,) in cursor.execute("SELECT seq FROM points").fetchall()]
    )


async def invalidate(store: DuckDBStore) -> None:
    """Make a store reopen its file before the next call, as after a failed checkpoint."""

    def fail() -> None:
        raise duckdb.FatalException("The checkpoint failed.")

    with pytest.raises(duckdb.FatalException):
        await store.run_on_writer(fail)
