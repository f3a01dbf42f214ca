"""The store: commits are stored once and survive restarts and rejected writes."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import (
    BatchCounter,
    BatchStatus,
    Block,
    MinuteAggregate,
    Run,
    Window,
    to_microseconds,
)
from solo_app.storage.duckdb.connection import Instance
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.service import counting, latest_points, open_service, wait_until

pytestmark = pytest.mark.anyio

BEGAN = datetime(2026, 3, 1)


@asynccontextmanager
async def opened(database: Path) -> AsyncIterator[DuckDBStore]:
    store = DuckDBStore(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def block(first_seq: int, count: int) -> Block:
    """Points of batch 1, one per second."""
    seqs = np.arange(first_seq, first_seq + count)
    return Block(1, first_seq, to_microseconds(BEGAN) + seqs * 1_000_000, seqs.astype(float))


async def test_points_are_paged_without_gaps_or_duplicates(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", few=counting(2_500)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        first = await service.points("b", 0, 1_000)
        rest = await service.points("b", first[-1].seq, 10_000)
        assert [p.key for p in first + rest] == list(range(1, 2_501))
        assert await latest_points(service, "b", 2) == rest[-2:]
        assert await service.points("b", 2_500, 10) == []


async def test_runs_keep_their_end_and_reason_after_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"

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
        whole = Window(runs[1].started_at.replace(second=0, microsecond=0), service.clock())
        assert sum(m.count for m in await service.minutes("b", whole)) == 3


async def test_many_commits_trigger_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MAX_COMMITS", 5)
    wal = tmp_path / "solo.duckdb.wal"
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await wait_until(lambda: wal.exists() and wal.stat().st_size > 500)
        await wait_until(lambda: not wal.exists() or wal.stat().st_size < 500)
        await service.stop("b")
        stored = await service.points("b", 0, 10_000)
        assert [p.seq for p in stored] == list(range(1, len(stored) + 1))


async def test_checkpoint_waits_for_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MAX_COMMITS", 5)
    wal = tmp_path / "solo.duckdb.wal"
    async with opened(tmp_path / "solo.duckdb") as store:
        with monkeypatch.context() as full:
            full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000}))
            sizes = []
            for first_seq in range(1, 31):
                await store.write([block(first_seq, 1)], {})
                sizes.append(wal.stat().st_size)
            assert sizes == sorted(set(sizes))
        await store.write([block(31, 1)], {})
        assert not wal.exists()


@pytest.mark.parametrize("failing", ["size of the WAL", "free space"])
async def test_error_after_a_commit_does_not_repeat_the_commit(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    async with opened(tmp_path / "solo.duckdb") as store:
        if failing == "size of the WAL":
            store._point_writer._wal._path = tmp_path / ("long" * 99)
        else:
            monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MAX_COMMITS", 1)
            monkeypatch.setattr("shutil.disk_usage", stale)
        for first_seq in range(1, 6):
            await store.write([block(first_seq, 1)], {})
        assert [p.seq for p in await store.points(1, 0, 10)] == [1, 2, 3, 4, 5]


async def test_a_start_is_repeated_after_its_commit_raised_and_was_durable(tmp_path: Path) -> None:
    run = Run(1, "s", BatchStatus.RUNNING, BEGAN, first_seq=1)
    async with opened(tmp_path / "solo.duckdb") as store:
        batch = await store.open_run("b", run)
        assert await store.open_run("b", run) == batch
        assert await store.runs(batch.no, 0, 10) == [run]


async def test_minutes_and_counters_change_in_one_transaction(tmp_path: Path) -> None:
    minute = MinuteAggregate(BEGAN, 5, 10.0, 0.0, 4.0)
    async with opened(tmp_path / "solo.duckdb") as store:
        await store.write([block(1, 5)], {})
        assert (await store.stored_minutes(BEGAN)).counters == {}
        await store.write([], {1: [minute]})
        await store.write([block(6, 5)], {1: [minute]})
        stored = await store.stored_minutes(BEGAN)
    assert stored.counters == {1: BatchCounter(10, 10)}
    assert stored.minutes == {1: [MinuteAggregate(BEGAN, 10, 20.0, 0.0, 4.0)]}


async def test_calls_fail_until_an_invalidated_database_is_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[object] = []
    reopen = Instance.open

    def refuse_twice(instance: Instance) -> None:
        if len(refused) < 2:
            refused.append(instance)
            raise duckdb.IOException("not now")
        reopen(instance)

    async with opened(tmp_path / "solo.duckdb") as store:
        await store.write([block(1, 5)], {})
        monkeypatch.setattr(Instance, "open", refuse_twice)
        store._instance.is_invalidated = True
        with pytest.raises(StoreUnavailableError, match="not now"):
            await store.write([block(6, 5)], {})
        with pytest.raises(StoreUnavailableError, match="not now"):
            await store.points(1, 0, 10)
        assert len(await store.points(1, 0, 10)) == 5
        await store.write([block(6, 5)], {})
        assert len(await store.points(1, 0, 10)) == 10


async def test_seq_continues_beyond_32_bits(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
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
