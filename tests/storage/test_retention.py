"""Retention: old points move to the archive, and query results do not change."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.follow import follow
from solo_app.batches.models import BatchStatus, FileFormat, Window, to_microseconds, utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.series import read_buckets
from solo_app.batches.service import BatchService
from tests.helpers.history import write_long_history
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    duckdb_store,
    latest_points,
    open_service,
    wait_until,
)

pytestmark = pytest.mark.anyio

BEGAN = datetime(2026, 3, 1)
HOUR = timedelta(hours=1)
DAYS = 8
"""Number of days for which ``with_past`` commits points, one per hour, with their seq as key."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(BEGAN.isoformat())


@pytest.fixture
def script(clock: FakeClock) -> ScriptedSource:
    return ScriptedSource(clock)


@pytest.fixture
async def service(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> AsyncIterator[BatchService]:
    async with open_service(tmp_path / "solo.duckdb", clock, random=script) as opened:
        yield opened


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "solo.duckdb.archive"


async def commit_points(service: BatchService, script: ScriptedSource, *times: datetime) -> None:
    """Commit points with these times, and the minutes that include them."""
    before = service.totals().row_count
    for n, ts in enumerate(times, before + 1):
        script.emit(ts, n)
    await wait_until(lambda: service.totals().row_count == before + len(times))
    await service._ingest.flush_minutes()


async def with_past(service: BatchService, script: ScriptedSource) -> None:
    await service.start("b")
    await commit_points(service, script, *(BEGAN + n * HOUR for n in range(DAYS * 24)))


def keeping(service: BatchService, days: float, points_per_file: int = 1_000_000) -> Retention:
    keep = timedelta(days=days)
    return Retention(service._store, keep, service.clock, points_per_file, interval=0.001)


def in_files(archive: Path) -> list[tuple[Any, ...]]:
    """Read the archive with plain DuckDB."""
    with duckdb.connect() as plain:
        return plain.execute(
            "SELECT batch_id, seq, ts AT TIME ZONE 'UTC', key "
            f"FROM '{archive}/*.parquet' ORDER BY 1, 2"
        ).fetchall()


async def in_table(service: BatchService) -> list[int]:
    return await duckdb_store(service).run_on_reader(
        lambda cursor: [seq for (seq,) in cursor.execute("SELECT seq FROM points").fetchall()]
    )


async def download(
    service: BatchService,
    file_format: FileFormat,
    start: datetime = datetime.min,
    end: datetime = datetime.max,
) -> bytes:
    pieces = (await service.download("b", file_format, start, end)).chunks
    return b"".join([piece async for piece in pieces])


async def all_query_results(service: BatchService, tmp_path: Path) -> list[object]:
    """Return the results of all queries for points, aggregates and counts."""
    (tmp_path / "b.parquet").write_bytes(await download(service, FileFormat.PARQUET))
    with duckdb.connect() as plain:
        rows = plain.execute(
            f"SELECT seq, ts AT TIME ZONE 'UTC', key FROM '{tmp_path}/b.parquet'"
        ).fetchall()
    window = Window(BEGAN, BEGAN + timedelta(days=31))
    return [
        rows,
        await download(service, FileFormat.CSV),
        await download(service, FileFormat.JSON),
        await service.points("b", 0, 10_000),
        await service.points("b", 20, 50),
        await latest_points(service, "b", 5),
        await service.minutes("b", window),
        await service.aggregate("b", BEGAN + 5 * HOUR + timedelta(seconds=90)),
        service.totals().row_count,
    ]


async def test_archiving_does_not_change_query_results(
    service: BatchService,
    script: ScriptedSource,
    tmp_path: Path,
    archive: Path,
) -> None:
    await with_past(service, script)
    await service.stop("b")
    before = await all_query_results(service, tmp_path)
    assert await keeping(service, 3, points_per_file=50).archive_old_points() == 5 * 24 - 1
    files = sorted(path.name for path in archive.iterdir())
    assert files == [
        "000001-000000000001-000000000050.parquet",
        "000001-000000000051-000000000100.parquet",
        "000001-000000000101-000000000119.parquet",
    ]
    assert in_files(archive) == [("b", n, BEGAN + (n - 1) * HOUR, n) for n in range(1, 120)]
    assert await in_table(service) == list(range(120, DAYS * 24 + 1))
    assert await all_query_results(service, tmp_path) == before


async def test_seq_continues_after_a_restart_with_archived_points(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> None:
    for seq in (DAYS * 24, DAYS * 24 + 1):
        async with open_service(tmp_path / "solo.duckdb", clock, random=script) as service:
            if seq == DAYS * 24:
                await with_past(service, script)
                before = await service.points("b", 0, 10_000)
                await keeping(service, 1).archive_old_points()
            else:
                assert service.batch("b").run.last_seq == seq - 1
                await service.start("b")
                await commit_points(service, script, clock.now)
            points = await service.points("b", 0, 10_000)
            assert [point.seq for point in points] == list(range(1, seq + 1))
            assert points[: len(before)] == before


async def test_reader_gets_each_point_once_during_archiving(
    service: BatchService, script: ScriptedSource
) -> None:
    await with_past(service, script)
    await service.stop("b")
    reader = follow(service, "b", 3, idle_timeout=5, page_size=10)
    seqs: list[int] = []
    async for news in reader:
        if isinstance(news, BatchStatus):
            break
        seqs += [point.seq for point in news]
        # About one more day each time, so that files appear before, at and after the position.
        await keeping(
            service, max(0.1, 7 - len(seqs) / 24), points_per_file=13
        ).archive_old_points()
    assert seqs == list(range(4, DAYS * 24 + 1))
    assert len(await in_table(service)) < 24


async def test_points_stay_for_the_retention_time_and_at_most_one_day_longer(
    service: BatchService, script: ScriptedSource, clock: FakeClock
) -> None:
    await service.start("b")
    await commit_points(service, script, BEGAN, BEGAN + 12 * HOUR)
    keeper = keeping(service, 3)
    clock.now = BEGAN + timedelta(days=4)
    assert await keeper.archive_old_points() == 0
    clock.now += timedelta(minutes=1)
    assert await keeper.archive_old_points() == 2
    assert await keeper.archive_old_points() == 0


async def test_span_ends_before_a_newer_point_although_the_clock_was_set_back(
    service: BatchService, script: ScriptedSource, clock: FakeClock
) -> None:
    await service.start("b")
    times = [BEGAN, BEGAN + HOUR, BEGAN + timedelta(days=9), BEGAN + 2 * HOUR]
    await commit_points(service, script, *times)
    clock.now = BEGAN + timedelta(days=10)
    assert await keeping(service, 2).archive_old_points() == 2
    assert await in_table(service) == [3, 4]


async def test_points_that_the_minutes_do_not_include_are_not_archived(
    service: BatchService, script: ScriptedSource, clock: FakeClock, archive: Path
) -> None:
    await with_past(service, script)
    for n in range(10):
        script.emit(clock.now, n)
    await wait_until(lambda: service.totals().row_count == DAYS * 24 + 10)
    # After the clock jumps ahead, all points are old.
    clock.advance(days=400)
    keeper = keeping(service, 0.001)
    assert await keeper.archive_old_points() == DAYS * 24
    assert len(await in_table(service)) == 10
    await service._ingest.flush_minutes()
    assert await keeper.archive_old_points() == 10


async def test_points_of_the_current_minute_are_not_archived(
    service: BatchService, script: ScriptedSource, clock: FakeClock
) -> None:
    await service.start("b")
    minute = BEGAN + timedelta(minutes=1)
    await commit_points(service, script, BEGAN, minute, minute + timedelta(seconds=1))
    clock.now = minute + timedelta(seconds=59)
    assert await keeping(service, 1e-9).archive_old_points() == 1
    assert await in_table(service) == [2, 3]


async def test_batch_ids_that_differ_only_in_case_have_separate_files(
    service: BatchService, script: ScriptedSource, clock: FakeClock, archive: Path
) -> None:
    for batch_id in ("b", "B"):
        await service.start(batch_id)
        await commit_points(service, script, BEGAN)
        await service.stop(batch_id)
    clock.now = BEGAN + timedelta(days=9)
    assert await keeping(service, 1).archive_old_points() == 2
    assert len({path.name.lower() for path in archive.iterdir()}) == 2
    assert {row[0] for row in in_files(archive)} == {"b", "B"}


async def test_failed_archiving_raises_the_reason_and_keeps_the_points(
    service: BatchService,
    script: ScriptedSource,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await with_past(service, script)
    everything = await in_table(service)
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000}))
        with pytest.raises(StoreUnavailableError, match="Not enough space"):
            await keeping(service, 1).archive_old_points()
    archive.rmdir()
    archive.write_text("in the way")
    with pytest.raises(StoreUnavailableError, match=re.escape(str(archive))):
        await keeping(service, 1).archive_old_points()
    archive.unlink()
    with monkeypatch.context() as full:
        full.setattr(
            "solo_app.storage.duckdb.archive._WRITE", "COPY points TO '/dev/full/x' ($path)"
        )
        with pytest.raises(StoreUnavailableError, match=re.escape(str(archive))):
            await keeping(service, 1).archive_old_points()
    assert list(archive.iterdir()) == []
    assert await in_table(service) == everything
    assert await keeping(service, 1).archive_old_points() > 0


async def test_disk_full_while_syncing_leaves_no_file(
    service: BatchService, script: ScriptedSource, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_past(service, script)

    def disk_full(path: Path) -> None:
        if path.is_file():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("solo_app.storage.duckdb.archive.sync", disk_full)
        with pytest.raises(StoreUnavailableError, match="No space left"):
            await keeping(service, 1).archive_old_points()
    assert list(archive.iterdir()) == []


async def test_query_that_started_before_archiving_sees_each_point_once(
    service: BatchService, script: ScriptedSource
) -> None:
    await with_past(service, script)
    store = duckdb_store(service)
    keeper = keeping(service, 3)
    await keeper.archive_old_points()
    listed, archived = threading.Event(), threading.Event()

    def slow(cursor: duckdb.DuckDBPyConnection) -> list[int]:
        with store._archive.points(cursor, 1, 0, DAYS * 24) as points:
            listed.set()
            archived.wait(5)
            rows = cursor.execute(f"SELECT seq FROM {points}").fetchall()
        return [seq for (seq,) in rows]

    reading = asyncio.ensure_future(store.run_on_reader(slow))
    await wait_until(listed.is_set)
    assert await keeping(service, 1).archive_old_points() > 0
    archived.set()
    assert await reading == list(range(1, DAYS * 24 + 1))


async def test_incomplete_copy_does_not_replace_points(
    service: BatchService, script: ScriptedSource, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_past(service, script)
    everything = await in_table(service)
    with monkeypatch.context() as incomplete:
        incomplete.setattr(
            "solo_app.storage.duckdb.archive._WRITE",
            "COPY (SELECT seq, key FROM points WHERE batch_no = $batch_no AND seq > $first"
            " AND seq <= $last) TO $path (FORMAT parquet)",
        )
        with pytest.raises(StoreUnavailableError, match="166 points and the database 167"):
            await keeping(service, 1).archive_old_points()
    assert await in_table(service) == everything
    assert list(archive.iterdir()) == []


async def test_files_of_a_replaced_database_are_kept_and_logged(
    tmp_path: Path, archive: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        clock = FakeClock(BEGAN.isoformat())
        script = ScriptedSource(clock)
        async with open_service(tmp_path / "solo.duckdb", clock, random=script) as service:
            await with_past(service, script)
            await keeping(service, 1).archive_old_points()
            points = await service.points("b", 0, 10_000)
            assert [point.seq for point in points] == list(range(1, DAYS * 24 + 1))
        (tmp_path / "solo.duckdb").unlink()
    assert sorted(path.name for path in archive.iterdir()) == [
        "000001-000000000001-000000000167.1.parquet",
        "000001-000000000001-000000000167.parquet",
    ]
    assert "does not list" in caplog.text


async def test_missing_or_damaged_file_is_reported_and_other_data_is_unaffected(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource, archive: Path
) -> None:
    async with open_service(tmp_path / "solo.duckdb", clock, random=script) as service:
        await with_past(service, script)
        before = await service.points("b", 0, 10_000)
        await keeping(service, 1).archive_old_points()
    (file,) = archive.iterdir()
    content = file.read_bytes()
    for harm in (file.unlink, lambda: file.write_bytes(b"?" * 2_000)):
        harm()
        async with open_service(tmp_path / "solo.duckdb", clock, random=script) as service:
            for file_format in FileFormat:
                with pytest.raises(StoreUnavailableError, match=re.escape(str(archive))):
                    await service.download("b", file_format)
            with pytest.raises(StoreUnavailableError, match=re.escape(str(archive))):
                await service.points("b", 10, 10)
            assert await latest_points(service, "b", 20) == before[-20:]
            assert (await service.aggregate("b", BEGAN + HOUR)).window.end == BEGAN + HOUR
            await service.start("b")
            await commit_points(service, script, clock.now)
            before.append((await latest_points(service, "b", 1))[0])
            file.write_bytes(content)
            assert await service.points("b", 0, 10_000) == before


async def test_archived_points_are_in_the_recent_data(
    service: BatchService, script: ScriptedSource
) -> None:
    await with_past(service, script)
    batch = await service.stop("b")
    before = await service.read_recent(batch)
    assert (len(before.points), len(before.chart.keys), before.count) == (40, 2, 1)
    service.clock.advance(days=9)  # type: ignore[attr-defined]
    assert await keeping(service, 3).archive_old_points() == DAYS * 24
    assert await service.read_recent(batch) == before


async def test_missing_file_fails_only_queries_for_its_points(
    service: BatchService,
    script: ScriptedSource,
    tmp_path: Path,
    archive: Path,
) -> None:
    await with_past(service, script)
    batch = await service.stop("b")
    assert await keeping(service, 3, points_per_file=50).archive_old_points() == 5 * 24 - 1
    spans = [(datetime.min, BEGAN + 50 * HOUR), (BEGAN + 120 * HOUR, datetime.max)]
    spans.append((BEGAN + 110 * HOUR, BEGAN + 130 * HOUR))
    before = [await download(service, form, *span) for span in spans for form in FileFormat]
    (archive / "000001-000000000051-000000000100.parquet").rename(tmp_path / "aside")
    assert [await download(service, form, *span) for span in spans for form in FileFormat] == before
    until = to_microseconds(service.clock())
    assert await read_buckets(duckdb_store(service), batch.no, 5 * 24 + 1, until)
    for form in FileFormat:
        for span in ((BEGAN, BEGAN + 50.5 * HOUR), (BEGAN + 99 * HOUR, datetime.max)):
            with pytest.raises(StoreUnavailableError, match="000000000100"):
                await download(service, form, *span)


async def test_missing_file_fails_queries_for_times_that_the_clock_repeated(
    service: BatchService, script: ScriptedSource, archive: Path
) -> None:
    await service.start("b")
    times = [BEGAN, BEGAN + 40 * HOUR, BEGAN + 20 * HOUR, BEGAN + 80 * HOUR]
    await commit_points(service, script, *times)
    assert await keeping(service, 1.5).archive_old_points() == 3
    await commit_points(
        service, script, BEGAN + 30 * HOUR, BEGAN + 40 * HOUR + timedelta(seconds=1)
    )
    (file,) = archive.iterdir()
    file.unlink()
    with pytest.raises(StoreUnavailableError, match=file.name):
        await download(service, FileFormat.CSV, BEGAN + 40 * HOUR)
    found = await download(service, FileFormat.CSV, BEGAN + 41 * HOUR)
    assert found.splitlines()[1:] == [b"4,2026-03-04T08:00:00.000000Z,4"]


async def test_a_shutdown_while_a_file_is_written_is_no_archive_error(
    service: BatchService,
    script: ScriptedSource,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await with_past(service, script)
    writing = threading.Event()

    def write_slowly(cursor: duckdb.DuckDBPyConnection, *_: object) -> None:
        writing.set()
        cursor.execute("SELECT count(*) FROM range(10_000_000) a, range(1_000_000) b").fetchall()

    monkeypatch.setattr("solo_app.storage.duckdb.archive._write", write_slowly)
    keeper = keeping(service, 1)
    running = asyncio.create_task(keeper.run())
    await wait_until(writing.is_set)
    service.end_streams()
    await asyncio.wait_for(running, 5)
    assert (keeper.archive_error, caplog.text) == (None, "")


async def test_a_reopening_that_deletes_the_new_file_keeps_its_points(
    service: BatchService, script: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_past(service, script)
    before = await service.points("b", 0, 10_000)
    store = duckdb_store(service)
    write = store._archive.write

    def write_then_invalidate(*arguments: Any) -> Any:
        file = write(*arguments)
        store._instance.is_invalidated = True  # By a checkpoint that failed, for example.
        return file

    with monkeypatch.context() as failing:
        failing.setattr(store._archive, "write", write_then_invalidate)
        with pytest.raises(StoreUnavailableError, match="was deleted"):
            await keeping(service, 3).archive_old_points()
    assert await service.points("b", 0, 10_000) == before
    assert await keeping(service, 3).archive_old_points() > 0
    assert await service.points("b", 0, 10_000) == before


@pytest.fixture(scope="module")
def hundred_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one point per hour in one batch. Tests must copy it before opening it."""
    database = tmp_path_factory.mktemp("past") / "solo.duckdb"
    write_long_history(database, ["b"], 100, HOUR, utc_now())
    return database


@pytest.mark.parametrize("folder", ["it's *a* [place]", "*", "key=5", "{a,b}", "$path", "a;b", "é"])
async def test_archive_works_in_folders_with_special_characters(
    hundred_hours: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    database = tmp_path / folder / "solo.duckdb"
    shutil.copy2(hundred_hours, database)
    async with open_service(database) as service:
        points = await service.points("b", 0, 100)
        assert await keeping(service, 1).archive_old_points() > 0
        assert await service.points("b", 0, 100) == points
        # The name of the folder, used as a glob pattern, would also match the other folder.
        other = tmp_path / folder.replace("*", "x").replace("[place]", "p")
        if not other.exists():
            shutil.copytree(tmp_path / folder, other)
            assert await service.points("b", 0, 100) == points


async def test_database_without_archive_tables_can_archive(
    hundred_hours: Path, tmp_path: Path
) -> None:
    database = tmp_path / "solo.duckdb"
    shutil.copy2(hundred_hours, database)
    with duckdb.connect(database) as plain:
        plain.execute("DROP TABLE archives")
        plain.execute("DROP TABLE counters")
        plain.execute("DROP TABLE schema_version")
    async with open_service(database) as service:
        points = await service.points("b", 0, 100)
        assert await keeping(service, 1).archive_old_points() > 0
        assert await service.points("b", 0, 100) == points


async def test_retention_retries_after_any_error(
    service: BatchService, script: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_past(service, script)
    failing: Exception | None = None
    archivable_spans = service._store.archivable_spans

    async def failing_old_spans(*limits: datetime) -> object:
        if failing:
            raise failing
        return await archivable_spans(*limits)

    monkeypatch.setattr(service._store, "archivable_spans", failing_old_spans)
    keeper = keeping(service, 1)
    failing = RuntimeError("of any kind")
    running = asyncio.create_task(keeper.run())
    await wait_until(lambda: keeper.archive_error == "RuntimeError: of any kind")
    failing = StoreUnavailableError("no room")
    await wait_until(lambda: keeper.archive_error == "no room")
    assert len(await in_table(service)) > 25
    failing = None
    await wait_until(lambda: keeper.archive_error is None)
    assert len(await in_table(service)) == 25
    assert not running.done()
    running.cancel()
