"""Backups: consistent snapshots of the database, taken while batches keep running."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.models import BatchStatus, utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.sources.random import random_numbers
from tests.helpers.history import write_long_history
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio


async def back_up(service: BatchService, into: Path) -> None:
    """Save a backup to a file, as a client does."""
    into.parent.mkdir(exist_ok=True)
    download = await service.backup()
    into.write_bytes(b"".join([piece async for piece in download.chunks]))
    assert into.stat().st_size == download.size


async def test_backup_is_consistent_while_points_arrive(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "solo.duckdb"
    async with open_service(tmp_path / "solo.duckdb", flood=random_numbers(0)) as service:
        await service.start("b")
        await service.start("fast", "flood")
        await wait_until(lambda: service.totals().row_count > 100_000)
        before = {b.batch_id: service.row_count(b) for b in service.running()}
        await back_up(service, copy)
        after = {b.batch_id: service.row_count(b) for b in service.running()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "solo.duckdb"]
    async with open_service(copy) as restored:
        for batch in restored.batches():
            assert batch.status is BatchStatus.INTERRUPTED
            count = restored.row_count(batch)
            assert before[batch.batch_id] <= count <= after[batch.batch_id]
            assert batch.run.last_seq == count
        new = await restored.start("new")
        assert new.no not in {b.no for b in restored.batches() if b.batch_id != "new"}
    with duckdb.connect(copy) as plain:
        points = plain.execute(
            "SELECT batch_no, count(*), min(seq), max(seq), sum(key) FROM points GROUP BY ALL "
            "ORDER BY ALL"
        ).fetchall()
        minutes = plain.execute(
            "SELECT batch_no, sum(count)::BIGINT, sum(sum) FROM minutes GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert [(no, count, total) for no, count, _, _, total in points] == minutes
    assert all((first, last) == (1, count) for _, count, first, last, _ in points)


async def test_backup_lists_archived_points(tmp_path: Path) -> None:
    database, copy = tmp_path / "solo.duckdb", tmp_path / "copy" / "solo.duckdb"
    write_long_history(database, ["b"], 1_000, timedelta(minutes=5), utc_now())
    async with open_service(database) as service:
        assert await Retention(service._store, timedelta(days=1), utc_now).archive_old_points()
        await back_up(service, copy)
        before = await service.points("b", 0, 1_000)
    database.with_name("solo.duckdb.archive").rename(copy.with_name("solo.duckdb.archive"))
    async with open_service(copy) as restored:
        assert await restored.points("b", 0, 1_000) == before


async def test_backup_without_enough_space_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        with monkeypatch.context() as full:
            full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000}))
            with pytest.raises(StoreUnavailableError, match="Not enough space"):
                await service.backup()
        await back_up(service, tmp_path / "copy.duckdb")


async def test_shutdown_aborts_backup_and_leaves_no_file(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    write_long_history(database, ["b"], 2_000_000, timedelta(seconds=0.25), utc_now())
    async with open_service(database) as service:
        under_way = asyncio.create_task(service.backup())
        await wait_until(lambda: list(tmp_path.glob(".*/file")))
        service.end_streams()
        with pytest.raises(ServiceClosedError):
            await under_way
        with pytest.raises(ServiceClosedError):
            await service.backup()
    assert [path.name for path in tmp_path.iterdir()] == ["solo.duckdb"]


async def test_backup_of_database_with_unusual_name(tmp_path: Path) -> None:
    for name in ('it\'s a "name".duckdb', "a-copy.v2.duckdb", "select"):
        async with open_service(tmp_path / name) as service:
            await back_up(service, tmp_path / "elsewhere" / name)
