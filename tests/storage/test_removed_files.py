"""Database files removed, moved or replaced while the app has them open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.service import BatchService
from solo_app.batches.timing import Timing
from solo_app.storage.duckdb.files import wal_path
from tests.helpers.integrity import check_integrity
from tests.helpers.service import duckdb_store, open_service, silent, wait_until

pytestmark = pytest.mark.anyio


TIMING = Timing(retry_interval=0.01, store_check_interval=0.02)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "solo.duckdb"


def remove(database: Path) -> None:
    for file in (database, wal_path(database)):
        file.unlink()


def move(database: Path) -> None:
    database.rename(database.with_name("elsewhere.duckdb"))


def replace(database: Path) -> None:
    other = database.with_name("other.duckdb")
    duckdb.connect(other).close()
    other.replace(database)


def remove_folder(database: Path) -> None:
    shutil.rmtree(database.parent)


def rename_folder(database: Path) -> None:
    database.parent.rename(database.parent.with_name("renamed"))


@contextmanager
def open_killed(database: Path) -> Iterator[Path]:
    """A database whose WAL contains its only table, as after a kill."""
    with duckdb.connect(database) as connection:
        connection.execute("CREATE TABLE other AS SELECT 1")
        yield database


HARMS = [remove, move, replace, remove_folder, rename_folder]
CASES = [*((harm, "silent") for harm in HARMS), (remove, "random")]
"""The damage to the files, and the source of the running batch."""


async def write_error(service: BatchService) -> str:
    await wait_until(lambda: service.totals().write_error)
    return service.totals().write_error or ""


@pytest.mark.parametrize(("harm", "source"), CASES)
async def test_removed_database_is_a_write_error_and_a_backup_saves_the_points(
    database: Path, tmp_path: Path, harm: Callable[[Path], None], source: str
) -> None:
    backup = tmp_path / "backup.duckdb"
    async with open_service(database, timing=TIMING, silent=silent) as service:
        await service.start("a")
        await wait_until(lambda: service.totals().row_count > 5)
        await service.stop("a")
        await service.start("b", source)
        harm(database)
        left = set(tmp_path.rglob("*"))
        error = await write_error(service)
        assert f"{database} was removed, moved or replaced" in error
        assert "/backup" in error
        with pytest.raises(StoreUnavailableError, match="was removed"):
            await service.start("c")
        count = service.totals().row_count
        download = await service.backup()
        backup.write_bytes(b"".join([piece async for piece in download.chunks]))
        assert set(tmp_path.rglob("*")) - left == {backup}
        assert service.totals().row_count == count
    async with open_service(backup, timing=TIMING) as restored:
        assert restored.totals().row_count == count
        assert len(await restored.points("a", 0, 10_000)) == restored.row_count(restored.batch("a"))


@pytest.mark.parametrize("harm", [move, rename_folder])
async def test_batches_continue_when_the_files_are_moved_back(
    database: Path, harm: Callable[[Path], None]
) -> None:
    async with open_service(database, timing=TIMING) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 5)
        harm(database)
        await write_error(service)
        count = service.totals().row_count
        if harm is rename_folder:
            database.parent.with_name("renamed").rename(database.parent)
        else:
            database.with_name("elsewhere.duckdb").rename(database)
        await wait_until(lambda: service.totals().row_count > count + 5)
        assert service.totals().write_error is None
        stopped = await service.stop("b")
    assert check_integrity(database)["b"].points == stopped.run.last_seq


@pytest.mark.parametrize("other", ["a copy of the files", "another database"])
async def test_close_leaves_the_files_that_replaced_the_database(
    database: Path, tmp_path: Path, other: str
) -> None:
    saved = tmp_path / "saved"
    async with open_service(database, timing=TIMING) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 5)
        shutil.copytree(database.parent, saved)
        saved_count = service.totals().row_count
        remove(database)
        await write_error(service)
        if other == "another database":
            with open_killed(tmp_path / "other.duckdb") as killed:
                shutil.copy(killed, database)
                shutil.copy(wal_path(killed), wal_path(database))
        else:
            shutil.copytree(saved, database.parent, dirs_exist_ok=True)
        contents = {file: file.read_bytes() for file in (database, wal_path(database))}
    assert {file: file.read_bytes() for file in contents} == contents
    if other == "a copy of the files":
        async with open_service(database, timing=TIMING, silent=silent) as service:
            assert 0 < service.totals().row_count <= saved_count


@pytest.mark.parametrize("size", [0, 4_096])
async def test_truncated_database_is_a_write_error(database: Path, size: int) -> None:
    async with open_service(database, timing=TIMING) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 5)
        os.truncate(database, size)
        assert "replaced while in use" in await write_error(service)
    assert database.stat().st_size == size


async def test_invalidated_instance_is_not_reopened_on_another_file(database: Path) -> None:
    async with open_service(database, timing=TIMING) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 5)
        remove(database)
        duckdb_store(service)._instance.is_invalidated = True
        assert "was removed" in await write_error(service)
        assert not database.exists()
        duckdb_store(service)._instance.is_invalidated = False


@pytest.mark.parametrize("harm", ["removed", "replaced"])
async def test_contents_of_removed_wal_are_saved(
    database: Path, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    killed = tmp_path / "killed.duckdb"
    async with open_service(database, timing=TIMING, silent=silent) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 5)
        await service.stop("b")
        await service.start("slow", "silent")
        wal = wal_path(database)
        if harm == "removed":
            wal.unlink()
        else:
            shutil.copy(wal, tmp_path / "copy")
            (tmp_path / "copy").replace(wal)
        await wait_until(lambda: "Contents of the removed WAL saved" in caplog.text)
        count = service.totals().row_count
        shutil.copy(database, killed)
        assert not wal.exists()
        # New commits create a new WAL.
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > count + 5)
        assert wal.exists()
        assert service.totals().write_error is None
    assert check_integrity(database)["b"].points > count
    async with open_service(killed, timing=TIMING) as restored:
        assert restored.totals().row_count == count
        assert [p.seq for p in await restored.points("b", 0, 10_000)] == [*range(1, count + 1)]


async def test_removed_wal_is_a_write_error_while_the_disk_is_full(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(database, timing=TIMING) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 5)
        with monkeypatch.context() as full:
            full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000}))
            wal_path(database).unlink()
            assert "WAL" in await write_error(service)
        await wait_until(lambda: service.totals().write_error is None)
        stopped = await service.stop("b")
    assert check_integrity(database)["b"].points == stopped.run.last_seq
