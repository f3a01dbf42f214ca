"""The archive: old points move to files, and query results do not change."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.follow import follow
from solo_app.batches.models import BatchStatus, FileFormat, Selection, Span, Window
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.storage.duckdb.archive import Archive
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.history import write_long_history
from tests.helpers.service import counting, open_service, wait_until
from tests.storage.conftest import FullDisk
from tests.storage.stores import (
    HOUR,
    START,
    create_block,
    invalidate,
    open_store,
    read_content,
    read_table,
    start_run,
    write_at,
)

pytestmark = pytest.mark.anyio

POINTS = 8 * 24
NOW = START + (POINTS - 1) * HOUR
"""The time of the last point."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with an ended batch ``b`` of one point per hour. Copy it before use."""
    database = tmp_path_factory.mktemp("history") / "solo.duckdb"
    write_long_history(database, ["b"], POINTS, HOUR, START + POINTS * HOUR)
    return database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(history, tmp_path))


@pytest.fixture
async def empty_store(tmp_path: Path) -> AsyncIterator[DuckDBStore]:
    async with open_store(tmp_path / "empty.duckdb") as store:
        yield store


def archive_folder(database: Path) -> Path:
    return database.with_name(f"{database.name}.archive")


async def archive(
    store: DuckDBStore, days: float, points_per_file: int = 1_000, now: datetime = NOW
) -> int:
    """Archive points older than ``days`` with ``Retention``. Returns their number."""
    retention = Retention(store, timedelta(days=days), lambda: now, points_per_file)
    return await retention.archive_old_points()


async def download(
    store: DuckDBStore,
    file_format: FileFormat,
    start: datetime = datetime.min,
    end: datetime = datetime.max,
) -> bytes:
    selection = Selection(1, POINTS + 1_000, start, end)
    return await read_content(await store.download(file_format, selection))


async def read_seqs(store: DuckDBStore) -> list[int]:
    return [point.seq for point in await store.points(1, 0, 10_000)]


async def all_query_results(service: BatchService, tmp_path: Path) -> list[object]:
    file = tmp_path / "b.parquet"
    file.write_bytes(await read_content(await service.download("b", FileFormat.PARQUET)))
    return [
        duckdb.read_parquet(str(file)).fetchall(),
        await read_content(await service.download("b", FileFormat.CSV)),
        await read_content(await service.download("b", FileFormat.JSON)),
        await service.points("b", 0, 10_000),
        await service.points("b", 20, 50),
        await service.points("b", POINTS - 5, 10),
        await service.minutes("b", Window(START, START + timedelta(days=31))),
        await service.aggregate("b", START + 5 * HOUR + timedelta(seconds=90)),
        await service.read_recent(service.batch("b")),
        service.totals().row_count,
    ]


# -- query results ---------------------------------------------------------------------------


async def test_archiving_does_not_change_query_results(database: Path, tmp_path: Path) -> None:
    store = DuckDBStore(database)
    async with open_service(store) as service:
        await service.change_labels("b", unit="°C")
        before = await all_query_results(service, tmp_path)
        for days in (3, 0.01):  # The second time, even the latest points are in files.
            await archive(store, days, points_per_file=50, now=NOW + HOUR)
            assert await all_query_results(service, tmp_path) == before
        assert await read_table(store) == []


async def test_files_have_the_archived_points(database: Path) -> None:
    async with open_store(database) as store:
        points = await store.points(1, 0, 10_000)
        assert await archive(store, 3, points_per_file=50) == 119
        assert await read_table(store) == list(range(120, POINTS + 1))
    assert sorted(path.name for path in archive_folder(database).iterdir()) == [
        "000001-000000000001-000000000050.parquet",
        "000001-000000000051-000000000100.parquet",
        "000001-000000000101-000000000119.parquet",
    ]
    with duckdb.connect() as plain:
        files = f"'{archive_folder(database)}/*.parquet'"
        query = f"SELECT batch_id, seq, ts AT TIME ZONE 'UTC', key FROM {files} ORDER BY seq"
        rows = plain.execute(query).fetchall()
    assert rows == [("b", point.seq, point.ts, point.key) for point in points[:119]]


async def test_seq_continues_after_archived_points(database: Path) -> None:
    async with open_store(database) as store:
        await archive(store, 0.01, now=NOW + HOUR)
    async with open_service(database, few=counting(3)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        assert service.batch("b").run.first_seq == POINTS + 1
        points = await service.points("b", 0, 10_000)
        assert [point.seq for point in points] == list(range(1, POINTS + 4))


async def test_reader_receives_each_point_once_during_archiving(database: Path) -> None:
    store = DuckDBStore(database)
    async with open_service(store) as service:
        seqs: list[int] = []
        async for update in follow(service, "b", 3, idle_timeout=5, page_size=10):
            if isinstance(update, BatchStatus):
                break
            seqs += [point.seq for point in update]
            # About one more day each time, so that files appear before, at and after the position.
            await archive(store, max(0.1, 7 - len(seqs) / 24), points_per_file=13)
        assert seqs == list(range(4, POINTS + 1))
        assert len(await read_table(store)) < 24


async def test_query_before_archiving_includes_each_point_once(database: Path) -> None:
    has_started, is_archived = threading.Event(), threading.Event()

    def slow_query(cursor: duckdb.DuckDBPyConnection) -> list[int]:
        with Archive(database).points(cursor, 1, 0, POINTS) as points:
            has_started.set()
            is_archived.wait(30)
            rows = cursor.execute(f"SELECT seq FROM {points}").fetchall()
        return [seq for (seq,) in rows]

    async with open_store(database) as store:
        await archive(store, 3)
        query = asyncio.ensure_future(store.run_on_reader(slow_query))
        await wait_until(has_started.is_set)
        assert await archive(store, 1) > 0
        is_archived.set()
        assert await query == list(range(1, POINTS + 1))


# -- which points are archived ---------------------------------------------------------------


async def test_span_ends_before_a_newer_point(empty_store: DuckDBStore) -> None:
    # The clock was set back before the last point.
    times = [START, START + HOUR, START + timedelta(days=9), START + 2 * HOUR]
    await write_at(empty_store, *times)
    assert await archive(empty_store, 2, now=START + timedelta(days=10)) == 2
    assert await read_table(empty_store) == [3, 4]


async def test_points_missing_from_the_minutes_are_not_archived(empty_store: DuckDBStore) -> None:
    await write_at(empty_store, START, START + HOUR)
    await empty_store.write([create_block(3, [3, 4])], {})
    assert await archive(empty_store, 1, now=START + timedelta(days=9)) == 2
    assert await read_table(empty_store) == [3, 4]


async def test_ids_that_differ_in_case_have_separate_files(
    empty_store: DuckDBStore, tmp_path: Path
) -> None:
    for batch_id in ("b", "B"):
        batch = await start_run(empty_store, batch_id)
        await write_at(empty_store, START, batch_no=batch.no)
    assert await archive(empty_store, 1, now=START + timedelta(days=9)) == 2
    names = [path.name.lower() for path in archive_folder(tmp_path / "empty.duckdb").iterdir()]
    assert len(set(names)) == 2


# -- errors while archiving ------------------------------------------------------------------


async def test_points_are_kept_if_the_archive_cannot_be_written(
    database: Path, full_disk: FullDisk
) -> None:
    folder = archive_folder(database)
    async with open_store(database) as store:
        everything = await read_table(store)
        with full_disk(), pytest.raises(StoreUnavailableError, match="Not enough space"):
            await archive(store, 1)
        folder.rmdir()
        folder.write_text("in the way")
        with pytest.raises(StoreUnavailableError, match=re.escape(str(folder))):
            await archive(store, 1)
        folder.unlink()
        assert await read_table(store) == everything
        assert await archive(store, 1) > 0


class FailingCursor:
    """A cursor that runs out of disk space while it writes a file."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def execute(self, query: str, values: Any = None) -> Any:
        result = self._cursor.execute(query, values)
        if "COPY" in query:
            raise duckdb.IOException(os.strerror(errno.ENOSPC))
        return result


def test_disk_full_while_writing_leaves_no_file(database: Path) -> None:
    with duckdb.connect(database) as connection:
        cursor: Any = FailingCursor(connection)
        with pytest.raises(StoreUnavailableError, match="No space left"):
            Archive(database).write(cursor, Span(1, 1, 10))
    assert list(archive_folder(database).iterdir()) == []


def test_incomplete_file_does_not_replace_points(database: Path) -> None:
    with duckdb.connect(database) as connection:

        @contextmanager
        def transaction() -> Iterator[duckdb.DuckDBPyConnection]:
            connection.execute("BEGIN")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise

        written = Archive(database).write(connection, Span(1, 1, 50))
        with pytest.raises(StoreUnavailableError, match="49 points and the database 50"):
            Archive(database).commit_move(transaction, replace(written, points=49))
        assert connection.execute("SELECT count(*) FROM points").fetchall() == [(POINTS,)]


async def test_reopening_the_database_before_a_move_keeps_the_points(database: Path) -> None:
    async with open_store(database) as store:
        before = await store.points(1, 0, 10_000)
        await invalidate(store)
        with pytest.raises(StoreUnavailableError, match="was deleted"):
            await store.move_to_archive(Span(1, 1, 50))
        assert await store.points(1, 0, 10_000) == before
        assert await archive(store, 3) > 0
        assert await store.points(1, 0, 10_000) == before


# -- missing and unknown files ---------------------------------------------------------------


async def test_files_of_a_replaced_database_are_kept_and_logged(
    history: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        shutil.copy2(history, database)
        async with open_store(database) as store:
            assert await archive(store, 1) == 167
            assert await read_seqs(store) == list(range(1, POINTS + 1))
    assert sorted(path.name for path in archive_folder(database).iterdir()) == [
        "000001-000000000001-000000000167.1.parquet",
        "000001-000000000001-000000000167.parquet",
    ]
    assert "does not list" in caplog.text


@pytest.mark.parametrize("damage", ["missing", "damaged"])
async def test_missing_or_damaged_file_affects_no_other_data(database: Path, damage: str) -> None:
    async with open_store(database) as store:
        await archive(store, 1)
    (file,) = archive_folder(database).iterdir()
    content = file.read_bytes()
    file.write_bytes(b"?" * 2_000)
    if damage == "missing":
        file.unlink()
    async with open_service(database, few=counting(1)) as service:
        for file_format in FileFormat:
            with pytest.raises(StoreUnavailableError, match=re.escape(str(file.parent))):
                await service.download("b", file_format)
        with pytest.raises(StoreUnavailableError, match=re.escape(str(file.parent))):
            await service.points("b", 10, 10)
        assert len(await service.points("b", POINTS - 20, 100)) == 20
        assert (await service.aggregate("b", START + HOUR)).window.end == START + HOUR
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        file.write_bytes(content)
        points = await service.points("b", 0, 10_000)
        assert [point.seq for point in points] == list(range(1, POINTS + 2))


async def test_missing_file_fails_only_queries_for_its_points(
    database: Path, tmp_path: Path
) -> None:
    unaffected = [
        (datetime.min, START + 50 * HOUR),
        (START + 110 * HOUR, START + 130 * HOUR),
        (START + 120 * HOUR, datetime.max),
    ]
    affected = [(START, START + 50.5 * HOUR), (START + 99 * HOUR, datetime.max)]
    async with open_store(database) as store:
        assert await archive(store, 3, points_per_file=50) == 119

        async def download_all() -> list[bytes]:
            return [await download(store, f, *span) for f in FileFormat for span in unaffected]

        before = await download_all()
        file = archive_folder(database) / "000001-000000000051-000000000100.parquet"
        file.rename(tmp_path / "moved")
        assert await download_all() == before
        assert await store.buckets(1, NOW - HOUR, POINTS + 1)
        for file_format in FileFormat:
            for span in affected:
                with pytest.raises(StoreUnavailableError, match="000000000100"):
                    await download(store, file_format, *span)


async def test_missing_file_fails_queries_for_repeated_times(
    empty_store: DuckDBStore, tmp_path: Path
) -> None:
    # The clock was set back by 20 hours: points in the file are not older than all others.
    times = [START, START + 40 * HOUR, START + 20 * HOUR, START + 80 * HOUR]
    await start_run(empty_store)
    await write_at(empty_store, *times)
    assert await archive(empty_store, 1.5, now=START + 80 * HOUR) == 3
    times = [START + 30 * HOUR, START + 40 * HOUR + timedelta(seconds=1)]
    await write_at(empty_store, *times, first_seq=5)
    (file,) = archive_folder(tmp_path / "empty.duckdb").iterdir()
    file.unlink()
    with pytest.raises(StoreUnavailableError, match=file.name):
        await download(empty_store, FileFormat.CSV, START + 40 * HOUR)
    found = await download(empty_store, FileFormat.CSV, START + 41 * HOUR)
    assert found.splitlines()[1:] == [b"4,2026-03-04T08:00:00.000000Z,4"]


# -- folders and earlier versions ------------------------------------------------------------


@pytest.mark.parametrize("folder", ["it's *a* [place]", "*", "key=5", "{a,b}", "$path", "a;b", "é"])
async def test_folder_may_have_special_characters(
    history: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    database = Path(shutil.copy2(history, tmp_path / folder))
    async with open_store(database) as store:
        points = await store.points(1, 0, 1_000)
        assert await archive(store, 1) > 0
        assert await store.points(1, 0, 1_000) == points
        # The name of the folder, used as a glob pattern, would also match the other folder.
        other = tmp_path / folder.replace("*", "x").replace("[place]", "p")
        if not other.exists():
            shutil.copytree(tmp_path / folder, other)
            assert await store.points(1, 0, 1_000) == points


async def test_database_of_an_earlier_release_can_archive(database: Path) -> None:
    with duckdb.connect(database) as plain:
        for table in (
            *("archives", "counters", "log_lines", "receipts", "deletions", "schema_version"),
        ):
            plain.execute(f"DROP TABLE {table}")
        for table, column in (
            ("batches", "unit"),
            ("batches", "description"),
            ("runs", "parameters"),
            ("runs", "restart"),
        ):
            plain.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    async with open_store(database) as store:
        points = await store.points(1, 0, 1_000)
        assert await archive(store, 1) > 0
        assert await store.points(1, 0, 1_000) == points
