"""Old points go into the archive, and nobody who reads them can tell."""

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

from solo_app.batches import retention
from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.follow import follow
from solo_app.batches.model import BatchStatus, FileFormat, Window, utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from tests.past import write_long_past
from tests.workbench import (
    HandClock,
    Script,
    duckdb_store,
    newest_points,
    open_service,
    until,
)

pytestmark = pytest.mark.anyio

BEGAN = datetime(2026, 3, 1)
HOUR = timedelta(hours=1)
DAYS = 8
"""Days of the past that ``with_past`` makes, one point an hour, each with its number as key."""


@pytest.fixture
def clock() -> HandClock:
    return HandClock(BEGAN.isoformat())


@pytest.fixture
def script(clock: HandClock) -> Script:
    return Script(clock)


@pytest.fixture
async def service(tmp_path: Path, clock: HandClock, script: Script) -> AsyncIterator[BatchService]:
    async with open_service(tmp_path / "solo.duckdb", clock, random=script) as opened:
        yield opened


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "solo.duckdb.archive"


async def say(service: BatchService, script: Script, *times: datetime) -> None:
    """Have points of these times committed, and the minutes that count them."""
    before = service.totals().row_count
    for n, ts in enumerate(times, before + 1):
        script.say(ts, n)
    await until(lambda: service.totals().row_count == before + len(times))
    await service._ingest.flush_minutes()


async def with_past(service: BatchService, script: Script) -> None:
    await service.start("b")
    await say(service, script, *(BEGAN + n * HOUR for n in range(DAYS * 24)))


def keeping(service: BatchService, days: float) -> Retention:
    return Retention(service._store, timedelta(days=days), service.clock)


def in_files(archive: Path) -> list[tuple[Any, ...]]:
    """What plain DuckDB finds in the archive."""
    with duckdb.connect() as plain:
        return plain.execute(
            "SELECT batch_id, seq, ts AT TIME ZONE 'UTC', key "
            f"FROM '{archive}/*.parquet' ORDER BY 1, 2"
        ).fetchall()


async def in_table(service: BatchService) -> list[int]:
    return await duckdb_store(service)._read(
        lambda cursor: [seq for (seq,) in cursor.execute("SELECT seq FROM points").fetchall()]
    )


async def told(
    service: BatchService,
    file_format: FileFormat,
    start: datetime = datetime.min,
    end: datetime = datetime.max,
) -> bytes:
    pieces = (await service.download("b", file_format, start, end)).pieces
    return b"".join([piece async for piece in pieces])


async def all_that_is_told(service: BatchService, tmp_path: Path) -> list[object]:
    """Every answer that is made of points or of their number."""
    (tmp_path / "b.parquet").write_bytes(await told(service, FileFormat.PARQUET))
    with duckdb.connect() as plain:
        rows = plain.execute(
            f"SELECT seq, ts AT TIME ZONE 'UTC', key FROM '{tmp_path}/b.parquet'"
        ).fetchall()
    window = Window(BEGAN, BEGAN + timedelta(days=31))
    return [
        rows,
        await told(service, FileFormat.CSV),
        await told(service, FileFormat.JSON),
        await service.points("b", 0, 10_000),
        await service.points("b", 20, 50),
        await newest_points(service, "b", 5),
        await service.minutes("b", window),
        await service.aggregate("b", BEGAN + 5 * HOUR + timedelta(seconds=90)),
        service.totals().row_count,
    ]


async def test_nobody_who_asks_can_tell_that_points_were_archived(
    service: BatchService,
    script: Script,
    tmp_path: Path,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "POINTS_PER_FILE", 50)
    await with_past(service, script)
    await service.stop("b")
    before = await all_that_is_told(service, tmp_path)
    assert await keeping(service, 3).archive_old_points() == 5 * 24 - 1
    files = sorted(path.name for path in archive.iterdir())
    assert files == [
        "000001-000000000001-000000000050.parquet",
        "000001-000000000051-000000000100.parquet",
        "000001-000000000101-000000000119.parquet",
    ]
    assert in_files(archive) == [("b", n, BEGAN + (n - 1) * HOUR, n) for n in range(1, 120)]
    assert await in_table(service) == list(range(120, DAYS * 24 + 1))
    assert await all_that_is_told(service, tmp_path) == before


async def test_it_is_all_there_after_a_restart_and_counts_on(
    tmp_path: Path, clock: HandClock, script: Script
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
                await say(service, script, clock.now)
            points = await service.points("b", 0, 10_000)
            assert [point.seq for point in points] == list(range(1, seq + 1))
            assert points[: len(before)] == before


async def test_a_reader_gets_each_point_once_while_they_are_being_archived(
    service: BatchService, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "POINTS_PER_FILE", 13)
    monkeypatch.setattr("solo_app.batches.follow._AT_ONCE", 10)
    await with_past(service, script)
    await service.stop("b")
    reader = follow(service, "b", 3, quiet=5)
    seqs: list[int] = []
    async for news in reader:
        if isinstance(news, BatchStatus):
            break
        seqs += [point.seq for point in news]
        # Another day or so each time, so that it happens before, at and behind the reader.
        await keeping(service, max(0.1, 7 - len(seqs) / 24)).archive_old_points()
    assert seqs == list(range(4, DAYS * 24 + 1))
    assert len(await in_table(service)) < 24


async def test_points_are_kept_for_the_days_and_at_most_a_day_longer(
    service: BatchService, script: Script, clock: HandClock
) -> None:
    await service.start("b")
    await say(service, script, BEGAN, BEGAN + 12 * HOUR)
    keeper = keeping(service, 3)
    clock.now = BEGAN + timedelta(days=4)
    assert await keeper.archive_old_points() == 0
    clock.now += timedelta(minutes=1)
    assert await keeper.archive_old_points() == 2
    assert await keeper.archive_old_points() == 0


async def test_what_is_younger_stays_though_the_clock_went_back_before_it(
    service: BatchService, script: Script, clock: HandClock
) -> None:
    await service.start("b")
    times = [BEGAN, BEGAN + HOUR, BEGAN + timedelta(days=9), BEGAN + 2 * HOUR]
    await say(service, script, *times)
    clock.now = BEGAN + timedelta(days=10)
    assert await keeping(service, 2).archive_old_points() == 2
    assert await in_table(service) == [3, 4]


async def test_a_point_that_no_minute_counts_yet_stays(
    service: BatchService, script: Script, clock: HandClock, archive: Path
) -> None:
    await with_past(service, script)
    for n in range(10):
        script.say(clock.now, n)
    await until(lambda: service.totals().row_count == DAYS * 24 + 10)
    # A clock that jumps far ahead makes everything old at once.
    clock.advance(days=400)
    keeper = keeping(service, 0.001)
    assert await keeper.archive_old_points() == DAYS * 24
    assert len(await in_table(service)) == 10
    await service._ingest.flush_minutes()
    assert await keeper.archive_old_points() == 10


async def test_an_open_minute_stays_however_short_the_days(
    service: BatchService, script: Script, clock: HandClock
) -> None:
    await service.start("b")
    minute = BEGAN + timedelta(minutes=1)
    await say(service, script, BEGAN, minute, minute + timedelta(seconds=1))
    clock.now = minute + timedelta(seconds=59)
    assert await keeping(service, 1e-9).archive_old_points() == 1
    assert await in_table(service) == [2, 3]


async def test_batches_that_differ_by_case_alone_have_files_of_their_own(
    service: BatchService, script: Script, clock: HandClock, archive: Path
) -> None:
    for batch_id in ("b", "B"):
        await service.start(batch_id)
        await say(service, script, BEGAN)
        await service.stop(batch_id)
    clock.now = BEGAN + timedelta(days=9)
    assert await keeping(service, 1).archive_old_points() == 2
    assert len({path.name.lower() for path in archive.iterdir()}) == 2
    assert {row[0] for row in in_files(archive)} == {"b", "B"}


async def test_without_room_or_right_the_points_stay_and_the_reason_is_told(
    service: BatchService,
    script: Script,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await with_past(service, script)
    everything = await in_table(service)
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000}))
        with pytest.raises(StoreUnavailableError, match="room"):
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


async def test_a_disk_that_is_full_at_the_end_of_a_file_keeps_nothing_of_it(
    service: BatchService, script: Script, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_past(service, script)

    def no_room(path: Path) -> None:
        if path.is_file():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("solo_app.storage.duckdb.archive.sync", no_room)
        with pytest.raises(StoreUnavailableError, match="No space left"):
            await keeping(service, 1).archive_old_points()
    assert list(archive.iterdir()) == []


async def test_a_reading_that_began_before_sees_each_point_once(
    service: BatchService, script: Script
) -> None:
    await with_past(service, script)
    store = duckdb_store(service)
    keeper = keeping(service, 3)
    await keeper.archive_old_points()
    looked_up, archived = threading.Event(), threading.Event()

    def slow(cursor: duckdb.DuckDBPyConnection) -> list[int]:
        with store._archive.points(cursor, 1, 0, DAYS * 24) as points:
            looked_up.set()
            archived.wait(5)
            rows = cursor.execute(f"SELECT seq FROM {points}").fetchall()
        return [seq for (seq,) in rows]

    reading = asyncio.ensure_future(store._read(slow))
    await until(looked_up.is_set)
    assert await keeping(service, 1).archive_old_points() > 0
    archived.set()
    assert await reading == list(range(1, DAYS * 24 + 1))


async def test_a_copy_that_lacks_a_point_replaces_nothing(
    service: BatchService, script: Script, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_past(service, script)
    everything = await in_table(service)
    with monkeypatch.context() as forgetful:
        forgetful.setattr(
            "solo_app.storage.duckdb.archive._WRITE",
            "COPY (SELECT seq, key FROM points WHERE batch_no = $batch_no AND seq > $first"
            " AND seq <= $last) TO $path (FORMAT parquet)",
        )
        with pytest.raises(StoreUnavailableError, match="166 points and the database 167"):
            await keeping(service, 1).archive_old_points()
    assert await in_table(service) == everything
    assert list(archive.iterdir()) == []


async def test_files_of_a_database_that_was_put_aside_are_left_alone(
    tmp_path: Path, archive: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        clock = HandClock(BEGAN.isoformat())
        script = Script(clock)
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


async def test_a_missing_or_damaged_file_is_told_and_the_rest_goes_on(
    tmp_path: Path, clock: HandClock, script: Script, archive: Path
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
            assert await newest_points(service, "b", 20) == before[-20:]
            assert (await service.aggregate("b", BEGAN + HOUR)).window.end == BEGAN + HOUR
            await service.start("b")
            await say(service, script, clock.now)
            before.append((await newest_points(service, "b", 1))[0])
            file.write_bytes(content)
            assert await service.points("b", 0, 10_000) == before


async def test_a_missing_file_is_needed_only_by_who_asks_for_its_points(
    service: BatchService,
    script: Script,
    tmp_path: Path,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "POINTS_PER_FILE", 50)
    await with_past(service, script)
    batch = await service.stop("b")
    assert await keeping(service, 3).archive_old_points() == 5 * 24 - 1
    spans = [(datetime.min, BEGAN + 50 * HOUR), (BEGAN + 120 * HOUR, datetime.max)]
    spans.append((BEGAN + 110 * HOUR, BEGAN + 130 * HOUR))
    before = [await told(service, form, *span) for span in spans for form in FileFormat]
    (archive / "000001-000000000051-000000000100.parquet").rename(tmp_path / "aside")
    assert [await told(service, form, *span) for span in spans for form in FileFormat] == before
    trail = await service.trail(batch, service.clock())
    assert (trail.is_filled, trail.read_error) == (True, "")
    for form in FileFormat:
        for span in ((BEGAN, BEGAN + 50.5 * HOUR), (BEGAN + 99 * HOUR, datetime.max)):
            with pytest.raises(StoreUnavailableError, match="000000000100"):
                await told(service, form, *span)


async def test_a_missing_file_is_needed_for_a_time_that_the_clock_came_back_to(
    service: BatchService, script: Script, archive: Path
) -> None:
    await service.start("b")
    times = [BEGAN, BEGAN + 40 * HOUR, BEGAN + 20 * HOUR, BEGAN + 80 * HOUR]
    await say(service, script, *times)
    assert await keeping(service, 1.5).archive_old_points() == 3
    await say(service, script, BEGAN + 30 * HOUR, BEGAN + 40 * HOUR + timedelta(seconds=1))
    (file,) = archive.iterdir()
    file.unlink()
    with pytest.raises(StoreUnavailableError, match=file.name):
        await told(service, FileFormat.CSV, BEGAN + 40 * HOUR)
    found = await told(service, FileFormat.CSV, BEGAN + 41 * HOUR)
    assert found.splitlines()[1:] == [b"4,2026-03-04T08:00:00.000000Z,4"]


async def test_a_shutdown_while_a_file_is_written_is_no_archive_error(
    service: BatchService,
    script: Script,
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
    await until(writing.is_set)
    service.end_streams()
    await asyncio.wait_for(running, 5)
    assert (keeper.archive_error, caplog.text) == (None, "")


async def test_a_reopening_that_deletes_the_new_file_keeps_its_points(
    service: BatchService, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_past(service, script)
    before = await service.points("b", 0, 10_000)
    store = duckdb_store(service)
    write = store._archive.write

    def write_then_invalidate(*arguments: Any) -> Any:
        file = write(*arguments)
        store._instance.invalidated = True  # By a checkpoint that failed, for example.
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
    """A database with one batch that had a point an hour, to be copied by whoever opens it."""
    database = tmp_path_factory.mktemp("past") / "solo.duckdb"
    write_long_past(database, ["b"], 100, HOUR, utc_now())
    return database


@pytest.mark.parametrize("folder", ["it's *a* [place]", "*", "key=5", "{a,b}", "$path", "a;b", "é"])
async def test_wherever_the_database_is(hundred_hours: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    database = tmp_path / folder / "solo.duckdb"
    shutil.copy2(hundred_hours, database)
    async with open_service(database) as service:
        points = await service.points("b", 0, 100)
        assert await keeping(service, 1).archive_old_points() > 0
        assert await service.points("b", 0, 100) == points
        # What the folder's name would match as a pattern is another database's.
        other = tmp_path / folder.replace("*", "x").replace("[place]", "p")
        if not other.exists():
            shutil.copytree(tmp_path / folder, other)
            assert await service.points("b", 0, 100) == points


async def test_a_file_of_before_there_was_an_archive_gets_one(
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


async def test_it_looks_again_after_whatever_went_wrong(
    service: BatchService, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ARCHIVE_EVERY", 0.001)
    await with_past(service, script)
    failing: Exception | None = None
    old_spans = service._store.old_spans

    async def at_first_not(*limits: datetime) -> object:
        if failing:
            raise failing
        return await old_spans(*limits)

    monkeypatch.setattr(service._store, "old_spans", at_first_not)
    keeper = keeping(service, 1)
    failing = RuntimeError("of any kind")
    looking = asyncio.create_task(keeper.run())
    await until(lambda: keeper.archive_error == "RuntimeError: of any kind")
    failing = StoreUnavailableError("no room")
    await until(lambda: keeper.archive_error == "no room")
    assert len(await in_table(service)) > 25
    failing = None
    await until(lambda: keeper.archive_error is None)
    assert len(await in_table(service)) == 25
    assert not looking.done()
    looking.cancel()
