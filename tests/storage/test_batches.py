"""The tables of batches and runs."""

from __future__ import annotations

import asyncio
import threading

import duckdb
import pytest

from solo_app.batches.models import BatchStatus, Run
from solo_app.storage.duckdb.batches import BatchRow, RunRow
from solo_app.storage.duckdb.store import DuckDBStore
from tests.storage.stores import START, start_run

pytestmark = pytest.mark.anyio


async def test_all_columns_are_mapped(store: DuckDBStore) -> None:
    def columns(cursor: duckdb.DuckDBPyConnection, table: str) -> set[str]:
        return {name for name, *_ in cursor.execute(f"SELECT * FROM {table}").description}

    for row in (BatchRow, RunRow):
        table = str(row.__tablename__)
        mapped = set(row.__table__.columns.keys())  # type: ignore[union-attr]
        assert await store.run_on_reader(lambda cursor: columns(cursor, table)) == mapped  # noqa: B023


async def test_start_can_be_retried_after_an_error(store: DuckDBStore) -> None:
    # A commit can become durable although it raised an error.
    batch = await start_run(store)
    assert await start_run(store) == batch
    assert await store.runs(batch.no, 0, 10) == [batch.run]


async def test_runs_are_paged_while_the_writer_is_busy(store: DuckDBStore) -> None:
    for number in range(1, 26):
        run = Run(number, "random", BatchStatus.RUNNING, START, first_seq=number)
        batch = await store.open_run("b", run)
    is_released = threading.Event()
    writing = asyncio.create_task(store.run_on_writer(is_released.wait))
    try:
        async with asyncio.timeout(30):
            pages = [await store.runs(batch.no, offset, 10) for offset in (0, 10, 20, 30)]
    finally:
        is_released.set()
        await writing
    assert [run.number for page in pages for run in page] == list(range(25, 0, -1))
    assert [len(page) for page in pages] == [10, 10, 5, 0]
