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
from solo_app.storage.duckdb.files import wal_path
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.integrity import check_integrity
from tests.helpers.service import open_service, wait_until
from tests.storage.conftest import FullDisk
from tests.storage.stores import create_block, invalidate, open_store, read_content, start_run

pytestmark = pytest.mark.anyio


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


def truncate(database: Path) -> None:
    os.truncate(database, 4_096)


def empty(database: Path) -> None:
    os.truncate(database, 0)


async def write_points(store: DuckDBStore, first_seq: int = 1) -> None:
    """Commit five points of batch ``b``."""
    if first_seq == 1:
        await start_run(store)
    await store.write([create_block(first_seq, [0] * 5)], {})


async def check_seqs(database: Path, last_seq: int) -> None:
    async with open_store(database) as store:
        points = await store.points(1, 0, 1_000)
        assert [point.seq for point in points] == list(range(1, last_seq + 1))


@contextmanager
def killed_database(folder: Path) -> Iterator[Path]:
    """Yield a database whose WAL contains its only table, as after a kill."""
    with duckdb.connect(folder / "killed.duckdb") as connection:
        connection.execute("CREATE TABLE other AS SELECT 1")
        yield folder / "killed.duckdb"


@pytest.mark.parametrize("damage", [remove, move, replace, remove_folder, rename_folder])
async def test_removed_database_is_an_error_until_it_is_backed_up(
    database: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with open_store(database) as store:
        await write_points(store)
        damage(database)
        left = set(tmp_path.rglob("*"))
        for write in (store.write([], {}), start_run(store, "c"), write_points(store, 6)):
            with pytest.raises(StoreUnavailableError) as error:
                await write
            assert f"{database} was removed, moved or replaced" in str(error.value)
            assert "/backup" in str(error.value)
        backup = tmp_path / "backup.duckdb"
        backup.write_bytes(await read_content(await store.backup()))
        assert set(tmp_path.rglob("*")) - left == {backup}
    await check_seqs(backup, 5)


@pytest.mark.parametrize("damage", [move, rename_folder])
async def test_batches_continue_when_the_files_are_moved_back(
    database: Path, damage: Callable[[Path], None]
) -> None:
    async with open_service(database) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 5)
        damage(database)
        await wait_until(lambda: service.totals().write_error)
        count = service.totals().row_count
        if damage is rename_folder:
            database.parent.with_name("renamed").rename(database.parent)
        else:
            database.with_name("elsewhere.duckdb").rename(database)
        await wait_until(lambda: service.totals().row_count > count + 5)
        assert service.totals().write_error is None
        stopped = await service.stop("b")
    assert check_integrity(database)["b"].points == stopped.run.last_seq


@pytest.mark.parametrize("other", ["copy", "another database"])
async def test_close_does_not_change_files_that_replaced_the_database(
    database: Path, tmp_path: Path, other: str
) -> None:
    async with open_store(database) as store:
        await write_points(store)
        copy = shutil.copytree(database.parent, tmp_path / "copy")
        await write_points(store, 6)
        remove(database)
        if other == "copy":
            shutil.copytree(copy, database.parent, dirs_exist_ok=True)
        else:
            with killed_database(tmp_path) as killed:
                shutil.copy(killed, database)
                shutil.copy(wal_path(killed), wal_path(database))
        contents = {file: file.read_bytes() for file in (database, wal_path(database))}
        with pytest.raises(StoreUnavailableError, match="was removed"):
            await write_points(store, 11)
    assert {file: file.read_bytes() for file in contents} == contents
    if other == "copy":
        await check_seqs(database, 5)


@pytest.mark.parametrize("damage", [truncate, empty])
async def test_truncated_database_is_an_error(
    database: Path, damage: Callable[[Path], None]
) -> None:
    async with open_store(database) as store:
        await write_points(store)
        damage(database)
        size = database.stat().st_size
        with pytest.raises(StoreUnavailableError, match="replaced while in use"):
            await write_points(store, 6)
    assert database.stat().st_size == size


async def test_invalidated_instance_is_not_reopened_on_another_file(database: Path) -> None:
    async with open_store(database) as store:
        await write_points(store)
        await invalidate(store)
        remove(database)
        with pytest.raises(StoreUnavailableError, match="was removed"):
            await write_points(store, 6)
        assert not database.exists()


@pytest.mark.parametrize("damage", ["removed", "replaced"])
async def test_contents_of_a_removed_wal_are_saved(
    database: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    wal = wal_path(database)
    async with open_store(database) as store:
        await write_points(store)
        if damage == "removed":
            wal.unlink()
        else:
            Path(shutil.copy(wal, tmp_path / "copy")).replace(wal)
        await store.write([], {})
        assert "Contents of the removed WAL saved" in caplog.text
        assert not wal.exists()
        killed = Path(shutil.copy(database, tmp_path / "killed.duckdb"))
        await write_points(store, 6)
        assert wal.exists()
    await check_seqs(killed, 5)
    await check_seqs(database, 10)


async def test_removed_wal_is_an_error_while_the_disk_is_full(
    database: Path, full_disk: FullDisk
) -> None:
    async with open_store(database) as store:
        await write_points(store)
        wal_path(database).unlink()
        with full_disk(), pytest.raises(StoreUnavailableError, match=r"WAL .* was removed"):
            await store.write([], {})
        await write_points(store, 6)
    await check_seqs(database, 10)
