"""Long queries run one at a time and end on shutdown."""

from __future__ import annotations

import asyncio
import threading

import duckdb
import pytest

from solo_app.batches.errors import ServiceClosedError
from solo_app.storage.duckdb.long_queries import LongQueries
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio

ENDLESS = "SELECT count(*) FROM range(10_000_000) a, range(1_000_000) b"


async def test_stop_interrupts_the_active_query_and_rejects_others(store: DuckDBStore) -> None:
    queries = LongQueries(store.run_on_reader)
    has_started = threading.Event()

    def run(cursor: duckdb.DuckDBPyConnection) -> None:
        has_started.set()
        cursor.execute(ENDLESS).fetchall()

    tasks = [asyncio.create_task(queries(run)) for _ in range(2)]
    await wait_until(has_started.is_set)
    queries.stop()
    async with asyncio.timeout(30):
        for task in tasks:
            with pytest.raises(ServiceClosedError):
                await task


async def test_short_queries_run_beside_a_long_one(store: DuckDBStore) -> None:
    queries = LongQueries(store.run_on_reader)
    is_released = threading.Event()
    active: list[int] = []

    def run(_: duckdb.DuckDBPyConnection) -> None:
        active.append(1)
        assert len(active) == 1
        is_released.wait(30)
        active.pop()

    tasks = [asyncio.create_task(queries(run)) for _ in range(3)]
    await wait_until(lambda: active)
    assert await store.points(1, 0, 10) == []
    is_released.set()
    await asyncio.gather(*tasks)
