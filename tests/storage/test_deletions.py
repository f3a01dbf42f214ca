"""Deletion of batches: all data of the batch is removed, and nothing else."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from solo_app.batches.errors import BatchNotFoundError, StoreUnavailableError
from solo_app.batches.models import BatchStatus, FileFormat, IdempotencyKey, Span
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.storage.duckdb import deletions
from solo_app.storage.duckdb.archive import Archive
from solo_app.storage.duckdb.export import SLICE_POINTS
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.history import write_long_history
from tests.helpers.service import counting, open_service, wait_until
from tests.storage.stores import (
    HOUR,
    START,
    create_block,
    invalidate,
    open_store,
    read_content,
    read_table,
    start_run,
)

pytestmark = pytest.mark.anyio

POINTS = 8 * 24
NOW = START + (POINTS - 1) * HOUR
"""The time of the last point."""

TABLES = ["points", "minutes", "counters", "archives", "runs", "log_lines", "receipts"]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with ended batches ``a`` and ``b`` of one point per hour. Copy it before use."""
    database = tmp_path_factory.mktemp("history") / "solo.duckdb"
    write_long_history(database, ["a", "b"], POINTS, HOUR, START + POINTS * HOUR)
    return database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(history, tmp_path))


async def archive(store: DuckDBStore, days: float = 3) -> int:
    return await Retention(store, timedelta(days=days), lambda: NOW, 50).archive_old_points()


def archive_files(database: Path) -> set[str]:
    return {path.name for path in database.with_name("solo.duckdb.archive").iterdir()}


async def row_counts(store: DuckDBStore, batch_no: int) -> dict[str, int]:
    """Return the number of rows of a batch by table."""

    def count(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
        counts = {}
        for table in [*TABLES, "deletions"]:
            query = f"SELECT count(*) FROM {table} WHERE batch_no = ?"
            ((counts[table],),) = cursor.execute(query, [batch_no]).fetchall()
        return counts

    return await store.run_on_reader(count)


async def wait_for_removal(store: DuckDBStore, batch_no: int) -> None:
    """Wait until the store has no data of a deleted batch."""
    async with asyncio.timeout(30):
        while any((await row_counts(store, batch_no)).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


# -- data ------------------------------------------------------------------------------------


async def test_all_data_of_the_batch_is_deleted(database: Path) -> None:
    store = DuckDBStore(database)
    async with open_service(store) as service:
        for batch_id in ("a", "b", "pushed"):
            await service.start(batch_id, "random" if batch_id != "pushed" else "push")
        await service.push("pushed", create_block(1, [1, 2]).key, IdempotencyKey("k", "hash"))
        for batch_id in ("a", "b", "pushed"):
            await service.stop(batch_id)
        assert await archive(store) == 238
        batches = {batch.batch_id: batch for batch in service.batches()}
        kept = await row_counts(store, batches["a"].no)
        points = await service.points("a", 0, 10_000)
        assert await row_counts(store, batches["pushed"].no) == {
            **dict.fromkeys(["points", "log_lines"], 2),
            **dict.fromkeys(["minutes", "counters", "runs", "receipts"], 1),
            **dict.fromkeys(["archives", "deletions"], 0),
        }
        for batch_id in ("b", "pushed"):
            await service.delete(batch_id)
            await wait_for_removal(store, batches[batch_id].no)
        assert {name.split("-")[0] for name in archive_files(database)} == {"000001"}
        assert await row_counts(store, batches["a"].no) == kept
        assert await service.points("a", 0, 10_000) == points
        assert service.totals().row_count == len(points)


async def test_deletion_survives_a_restart(database: Path) -> None:
    async with open_service(database) as service:
        await service.delete("b")
    async with open_service(database, few=counting(3)) as service:
        assert [batch.batch_id for batch in service.batches()] == ["a"]
        assert service.totals().row_count == POINTS
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        assert [point.seq for point in await service.points("b", 0, 10)] == [1, 2, 3]


async def test_batch_with_a_missing_archive_file_can_be_deleted(
    database: Path, tmp_path: Path
) -> None:
    store = DuckDBStore(database)
    async with open_service(store) as service:
        await archive(store)
        names = archive_files(database)
        (tmp_path / "solo.duckdb.archive" / min(n for n in names if n[:6] == "000002")).unlink()
        await service.delete("b")
        assert archive_files(database) == {name for name in names if name[:6] == "000001"}
        shutil.rmtree(tmp_path / "solo.duckdb.archive")
        await service.delete("a")


async def test_batch_without_points_can_be_deleted(tmp_path: Path) -> None:
    async with open_store(tmp_path / "solo.duckdb") as store:
        batch = await start_run(store)
        await store.delete(batch.no)
        await store.delete(batch.no)  # Repeated after a commit that raised.
        await store.remove_deleted_points()
        assert await store.batches() == []
        assert not any((await row_counts(store, batch.no)).values())


# -- parts -----------------------------------------------------------------------------------


async def test_other_writes_run_between_parts(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "POINTS_PER_PART", 10)
    monkeypatch.setattr(deletions, "MINUTES_PER_PART", timedelta(hours=13))
    async with open_store(database) as store:
        await store.delete(2)
        removal = asyncio.ensure_future(store.remove_deleted_points())
        remaining: list[int] = []
        while not removal.done():
            await store.write([create_block(POINTS + len(remaining) + 1, [1])], {})
            remaining.append(len(await read_table(store)) - POINTS - len(remaining) - 1)
        await removal
        assert len({rest for rest in remaining if 0 < rest < POINTS}) > 5
        assert not any((await row_counts(store, 2)).values())
        counts = await row_counts(store, 1)
        assert (counts["points"], counts["minutes"]) == (POINTS + len(remaining), POINTS)


async def test_next_start_continues_the_removal(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(database) as store:
        await store.delete(2)
        with monkeypatch.context() as patch:
            patch.setattr(deletions, "POINTS_PER_PART", 100)
            part = (await store.run_on_reader(deletions.remaining_parts))[0]
        await store.run_on_writer(lambda: None)
    with duckdb.connect(database) as connection:
        connection.execute(*part)
        ((remaining,),) = connection.execute(
            "SELECT count(*) FROM points WHERE batch_no = 2"
        ).fetchall()
        assert remaining == POINTS - 100
    store = DuckDBStore(database)
    async with open_service(store) as service:
        assert service.totals().row_count == POINTS
        await wait_for_removal(store, 2)
        assert len(await read_table(store)) == POINTS


# -- errors ----------------------------------------------------------------------------------


async def test_failed_deletion_keeps_all_data(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(cursor: duckdb.DuckDBPyConnection, batch_no: int) -> None:
        cursor.execute("DELETE FROM archives")
        raise duckdb.TransactionException("No space left on device")

    store = DuckDBStore(database)
    async with open_service(store) as service:
        await archive(store)
        files, counts = archive_files(database), await row_counts(store, 2)
        points = await service.points("b", 0, 10_000)
        with monkeypatch.context() as patch:
            patch.setattr(deletions, "delete_batch", fail)
            with pytest.raises(StoreUnavailableError, match="No space left"):
                await service.delete("b")
        assert (archive_files(database), await row_counts(store, 2)) == (files, counts)
        assert await service.points("b", 0, 10_000) == points
        await service.delete("b")
        assert len(archive_files(database)) == len(files) / 2


async def test_archive_that_cannot_be_changed_prevents_the_deletion(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuckDBStore(database)
    async with open_service(store) as service:
        await archive(store)
        files = archive_files(database)
        rename = Path.rename

        def fail(path: Path, target: Path) -> Path:
            if target.name.startswith(".") and "101" in target.name:
                raise PermissionError(13, "Permission denied")
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", fail)
        with pytest.raises(StoreUnavailableError, match=r"cannot be deleted: .*Permission"):
            await service.delete("b")
        assert archive_files(database) == files
        assert len(await service.points("b", 0, 10_000)) == POINTS


async def test_deletion_reopens_an_invalidated_database(database: Path) -> None:
    store = DuckDBStore(database)
    async with open_service(store) as service:
        await invalidate(store)
        await service.delete("b")
        await wait_for_removal(store, 2)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_start_completes_or_undoes_a_killed_deletion(
    database: Path, is_deleted: bool
) -> None:
    async with open_store(database) as store:
        await archive(store)
        points = await store.points(2, 0, 10_000)
    names = archive_files(database)
    folder = database.with_name("solo.duckdb.archive")
    for name in (n for n in names if n[:6] == "000002"):
        (folder / name).rename(folder / f".{name}.part")
    if is_deleted:
        with duckdb.connect(database) as connection:
            deletions.delete_batch(connection, 2)
    async with open_service(database) as service:
        if is_deleted:
            assert [batch.batch_id for batch in service.batches()] == ["a"]
            assert archive_files(database) == {n for n in names if n[:6] == "000001"}
        else:
            assert await service.points("b", 0, 10_000) == points
            assert archive_files(database) == names


# -- concurrent queries and archiving --------------------------------------------------------


async def test_name_can_be_used_while_an_old_snapshot_is_read(database: Path) -> None:
    has_started, has_restarted = threading.Event(), threading.Event()

    def slow_query(cursor: duckdb.DuckDBPyConnection) -> list[Any]:
        cursor.execute("BEGIN")
        query = "SELECT no FROM batches WHERE batch_id = 'b'"
        found = cursor.execute(query).fetchall()
        has_started.set()
        has_restarted.wait(30)
        return found + cursor.execute(query).fetchall()

    store = DuckDBStore(database)
    async with open_service(store, few=counting(3)) as service:
        query = asyncio.ensure_future(store.run_on_reader(slow_query))
        await wait_until(has_started.is_set)
        await service.delete("b")
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        has_restarted.set()
        assert await query == [(2,), (2,)]
        assert service.batch("b").no == 3


def test_batch_deleted_during_a_move_has_no_file(database: Path) -> None:
    with duckdb.connect(database) as connection:

        @contextmanager
        def transaction() -> Iterator[duckdb.DuckDBPyConnection]:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

        for span in (Span(2, 1, 50), Span(2, 51, 100)):
            written = Archive(database).write(connection, span)
            if span.first_seq == 1:
                deletions.delete_batch(connection, 2)
            assert not Archive(database).commit_move(transaction, written)
        assert connection.execute("SELECT count(*) FROM archives").fetchall() == [(0,)]
    assert archive_files(database) == set()


async def test_deletion_keeps_a_file_that_is_being_written(database: Path) -> None:
    async with open_store(database) as store:
        await archive(store)
        span = Span(1, 120, 150)
        written = await store.run_on_reader(lambda c: Archive(database).write(c, span))
        await store.delete(2)
        assert f".{written.name}.part" in archive_files(database)


async def test_points_of_deleted_batches_are_not_archived(database: Path) -> None:
    async with open_store(database) as store:
        spans = await store.archivable_spans(NOW, NOW)
        await store.delete(2)
        assert [span.batch_no for span in await store.archivable_spans(NOW, NOW)] == [1]
        assert [await store.move_to_archive(span) for span in spans] == [POINTS - 1, 0]
        assert len(archive_files(database)) == 1


async def open_downloads(service: BatchService) -> list[Any]:
    return [(await service.download("b", file_format)).chunks for file_format in FileFormat]


async def test_download_of_a_deleted_batch_is_aborted(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    write_long_history(database, ["b"], 3 * SLICE_POINTS, timedelta(seconds=1), NOW)
    async with open_service(database) as service:
        started, waiting = await open_downloads(service), await open_downloads(service)
        for chunks in started:
            assert await anext(chunks)
        await service.delete("b")
        for chunks in (*started, *waiting):
            with pytest.raises(BatchNotFoundError):
                async for _ in chunks:
                    pass


async def test_completed_download_is_not_affected(database: Path) -> None:
    async with open_service(database) as service:
        content = await read_content(await service.download("b", FileFormat.CSV))
        await service.delete("b")
        assert content.count(b"\n") == POINTS + 1
        assert service.batch("a").status is BatchStatus.STOPPED
