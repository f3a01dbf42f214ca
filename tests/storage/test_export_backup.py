"""Backups: consistent snapshots of the database, taken while batches keep running."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.models import BatchStatus
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.sources.random import random_kind
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.history import write_long_history
from tests.helpers.service import open_service, wait_until
from tests.storage.conftest import FullDisk
from tests.storage.stores import HOUR, START, create_block, open_store, read_content, write_at

pytestmark = pytest.mark.anyio


async def save_backup(store: DuckDBStore | BatchService, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    download = await store.backup()
    file.write_bytes(await read_content(download))
    assert file.stat().st_size == download.size


async def test_backup_is_consistent_while_points_are_written(tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "solo.duckdb"
    async with open_service(tmp_path / "solo.duckdb", flood=random_kind(0)) as service:
        await service.start("slow")
        await service.start("fast", "flood")
        await wait_until(lambda: service.totals().row_count > 50_000)
        before = {b.batch_id: service.row_count(b) for b in service.running()}
        await save_backup(service, copy)
        after = {b.batch_id: service.row_count(b) for b in service.running()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "solo.duckdb"]
    async with open_service(copy) as restored:
        for batch in restored.batches():
            assert batch.status is BatchStatus.INTERRUPTED
            count = restored.row_count(batch)
            assert before[batch.batch_id] <= count <= after[batch.batch_id]
            assert batch.run.last_seq == count
        numbers = {batch.no for batch in restored.batches()}
        assert (await restored.start("new")).no not in numbers
    check_minutes(copy)


def check_minutes(database: Path) -> None:
    """Check that the points are consecutive and equal to the minutes."""
    points = "SELECT batch_no, count(*), min(seq), max(seq), sum(key) FROM points"
    minutes = "SELECT batch_no, sum(count)::BIGINT, sum(sum) FROM minutes"
    with duckdb.connect(database) as plain:
        by_points = plain.execute(f"{points} GROUP BY ALL ORDER BY ALL").fetchall()
        by_minutes = plain.execute(f"{minutes} GROUP BY ALL ORDER BY ALL").fetchall()
    assert [(no, count, total) for no, count, _, _, total in by_points] == by_minutes
    assert all((first, last) == (1, count) for _, count, first, last, _ in by_points)


async def test_backup_lists_archived_points(tmp_path: Path) -> None:
    database, copy = tmp_path / "solo.duckdb", tmp_path / "copy" / "solo.duckdb"
    async with open_store(database) as store:
        await write_at(store, *(START + n * HOUR for n in range(50)))
        retention = Retention(store, timedelta(days=1), lambda: START + 50 * HOUR)
        assert await retention.archive_old_points() > 0
        await save_backup(store, copy)
        points = await store.points(1, 0, 100)
    database.with_name("solo.duckdb.archive").rename(copy.with_name("solo.duckdb.archive"))
    async with open_store(copy) as restored:
        assert await restored.points(1, 0, 100) == points


async def test_backup_without_enough_space_is_refused(
    store: DuckDBStore, tmp_path: Path, full_disk: FullDisk
) -> None:
    with full_disk(), pytest.raises(StoreUnavailableError, match="Not enough space"):
        await store.backup()
    await save_backup(store, tmp_path / "copy.duckdb")


async def test_shutdown_aborts_a_backup_and_leaves_no_file(database: Path) -> None:
    database.parent.mkdir()
    write_long_history(database, ["b"], 1_000_000, timedelta(seconds=0.25), START)
    async with open_store(database) as store:
        backup = asyncio.create_task(store.backup())
        await wait_until(lambda: list(database.parent.glob(".*/file")))
        store.stop_exports()
        with pytest.raises(ServiceClosedError):
            await backup
        with pytest.raises(ServiceClosedError):
            await store.backup()
    assert list(database.parent.iterdir()) == [database]


@pytest.mark.parametrize("name", ['it\'s a "name".duckdb', "a-copy.v2.duckdb", "select"])
async def test_database_may_have_an_unusual_name(tmp_path: Path, name: str) -> None:
    async with open_store(tmp_path / name) as store:
        await store.write([create_block(1, [1])], {})
        await save_backup(store, tmp_path / "copy" / name)
    async with open_store(tmp_path / "copy" / name) as restored:
        assert len(await restored.points(1, 0, 10)) == 1
