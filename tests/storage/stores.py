"""Stores with points for tests, without a service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from solo_app.batches.minutes import aggregate_by_minute
from solo_app.batches.models import MICROSECOND, Batch, BatchStatus, Block, Download, Run
from solo_app.batches.models import to_microseconds as us
from solo_app.storage.duckdb.store import DuckDBStore

START = datetime(2026, 3, 1)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@asynccontextmanager
async def open_store(database: Path) -> AsyncIterator[DuckDBStore]:
    store = DuckDBStore(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def start_run(store: DuckDBStore, batch_id: str = "b", number: int = 1) -> Batch:
    run = Run(number, "random", BatchStatus.RUNNING, START, first_seq=1)
    return await store.open_run(batch_id, run)


def create_block(
    first_seq: int, keys: Sequence[float], batch_no: int = 1, interval: timedelta = SECOND
) -> Block:
    """Return points at equal intervals; the one with ``seq`` 1 is at ``START``."""
    seqs = np.arange(first_seq, first_seq + len(keys))
    ts = us(START) + (seqs - 1) * (interval // MICROSECOND)
    return Block(batch_no, first_seq, ts, np.array(keys, float))


async def write_at(
    store: DuckDBStore, *times: datetime, first_seq: int = 1, batch_no: int = 1
) -> None:
    """Commit points with these times and their ``seq`` as keys, and their minutes."""
    seqs = np.arange(first_seq, first_seq + len(times))
    block = Block(batch_no, first_seq, np.array([us(ts) for ts in times]), seqs.astype(float))
    await store.write([block], {batch_no: aggregate_by_minute(block.ts, block.key)})


async def read_content(download: Download) -> bytes:
    return b"".join([chunk async for chunk in download.chunks])


async def read_table(store: DuckDBStore) -> list[int]:
    """Return the ``seq`` of all points in the database, excluding the archive."""
    return await store.run_on_reader(
        lambda cursor: [seq for (seq,) in cursor.execute("SELECT seq FROM points").fetchall()]
    )


async def invalidate(store: DuckDBStore) -> None:
    """Make a store reopen its file before the next write, as after a failed checkpoint."""

    def fail() -> None:
        raise duckdb.FatalException("The checkpoint failed.")

    with pytest.raises(duckdb.FatalException):
        await store.run_on_writer(fail)
