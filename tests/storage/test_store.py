"""The store: commits survive restarts, and an invalidated database is reopened."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import BatchStatus, Window
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.service import counting, open_service, wait_until
from tests.storage.stores import create_block, invalidate, open_store, read_table

pytestmark = pytest.mark.anyio


async def test_points_are_paged_in_order(store: DuckDBStore) -> None:
    await store.write([create_block(1, range(2_500))], {})
    first = await store.points(1, 0, 1_000)
    rest = await store.points(1, first[-1].seq, 10_000)
    assert [point.key for point in first + rest] == list(range(2_500))
    assert await store.points(1, 2_500, 10) == []


async def test_runs_are_unchanged_after_a_restart(database: Path) -> None:
    def broken() -> object:
        raise LookupError("empty")

    async with open_service(database, few=counting(3), broken=broken) as service:  # type: ignore[arg-type]
        for source in ("few", "broken"):
            await service.start("b", source)
            await wait_until(lambda: not service.running())
        runs = await service.runs("b")
    async with open_service(database) as service:
        assert await service.runs("b") == runs
        assert service.batch("b").run == runs[0]
        assert [(r.status, r.reason, r.first_seq, r.last_seq) for r in runs] == [
            (BatchStatus.FAILED, "LookupError: empty", 4, 3),
            (BatchStatus.FINISHED, None, 1, 3),
        ]
        start = runs[1].started_at.replace(second=0, microsecond=0)
        minutes = await service.minutes("b", Window(start, service.clock()))
        assert sum(minute.count for minute in minutes) == 3


def flip_magic_bytes(database: Path) -> None:
    """Make a database unreadable in place, or readable again."""
    with database.open("r+b") as file:
        file.seek(8)
        magic = file.read(4)
        file.seek(8)
        file.write(bytes(byte ^ 0xFF for byte in magic))


async def test_calls_fail_until_the_database_is_reopened(
    store: DuckDBStore, database: Path
) -> None:
    await store.write([create_block(1, range(5))], {})
    await invalidate(store)
    flip_magic_bytes(database)
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        await store.write([create_block(6, range(5))], {})
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        await store.points(1, 0, 10)
    flip_magic_bytes(database)
    assert len(await store.points(1, 0, 10)) == 5
    await store.write([create_block(6, range(5))], {})
    assert await read_table(store) == list(range(1, 11))


async def test_seq_continues_beyond_32_bits(database: Path) -> None:
    async with open_service(database, few=counting(3)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE counters SET row_count = $n, last_seq = $n", {"n": 2**31})
    async with open_service(database, few=counting(3)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        run, first = await service.runs("b")
        assert (run.status, run.first_seq, run.last_seq) == ("finished", 2**31 + 1, 2**31 + 3)
        assert (first.first_seq, first.last_seq) == (1, 3)
        await service.start("b")
    async with open_service(database) as service:
        assert service.batch("b").status is BatchStatus.INTERRUPTED


async def test_closed_store_is_unavailable(database: Path) -> None:
    async with open_store(database) as store:
        pass
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.points(1, 0, 10)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.write([create_block(1, range(5))], {})
