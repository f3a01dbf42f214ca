"""A full disk: batches wait and report it, and continue on their own once there is space."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import Batch, BatchStatus, Point, utc_now
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.storage.duckdb import checkpoints, connection, files
from solo_app.storage.duckdb.files import OpenFiles
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.history import write_long_history
from tests.helpers.integrity import check_integrity
from tests.helpers.running_app import EXIT_TIMEOUT, RunningApp, http, wait_for
from tests.helpers.service import duckdb_store, open_service, wait_until
from tests.helpers.small_disk import SmallDisk

pytestmark = pytest.mark.anyio


async def flood() -> AsyncIterator[Numbers]:
    """Yield incompressible integers as fast as possible. Floats represent their sum exactly."""
    numbers = np.random.default_rng()
    while True:
        yield numbers.integers(-(2**29), 2**29, 16_384).astype(np.float64)
        await asyncio.sleep(0)


async def steady() -> AsyncIterator[Numbers]:
    """Yield arrays large enough for DuckDB to write them to the file without the WAL."""
    numbers = np.random.default_rng()
    while True:
        yield numbers.integers(0, 2**30, 8_000).astype(np.float64)
        await asyncio.sleep(0.05)


async def wait_until_full(service: BatchService) -> dict[str, int]:
    """Wait until writes fail, and return the row counts. Committed points can still be read."""
    await wait_until(lambda: service.totals().write_error, 60)
    assert "No space left on the disk" in (service.totals().write_error or "")
    counted = {batch.batch_id: service.row_count(batch) for batch in service.running()}
    for batch in service.running():
        last = counted[batch.batch_id]
        assert [p.seq for p in await duckdb_store(service).points(batch.no, last - 1, 1)] == [last]
    return counted


async def first_point(service: BatchService, batch: Batch) -> Point:
    """Read the first point. Retries, because queries can fail while checkpoints fail."""
    for _ in range(100):
        with suppress(StoreUnavailableError):
            return (await duckdb_store(service).points(batch.no, 0, 1))[0]
    raise AssertionError("all queries failed")


async def wait_for_new_points(service: BatchService, counted: dict[str, int]) -> None:
    """Wait until every batch has new points."""
    for batch_id, count in counted.items():
        await wait_until(lambda: service.row_count(service.batch(batch_id)) > count, 60)  # noqa: B023


async def test_batches_continue_once_there_is_space(
    rounds: int, small_disk: Callable[[int], SmallDisk]
) -> None:
    size = 24
    disk = small_disk(size)
    async with open_service(disk.path / "solo.duckdb", flood=flood) as service:
        await service.start("calm")
        await service.start("flood", "flood")
        for _ in range(rounds):
            counted = await wait_until_full(service)
            size += 4
            disk.grow(size)
            await wait_for_new_points(service, counted)
        disk.grow(size + 512)
        await wait_for_new_points(service, counted)
        await wait_until(lambda: not service.totals().write_error)
        last_seqs = {batch_id: (await service.stop(batch_id)).run.last_seq for batch_id in counted}
    stored = check_integrity(disk.path / "solo.duckdb")
    assert {batch_id: batch.points for batch_id, batch in stored.items()} == last_seqs


@pytest.mark.parametrize(("trigger", "free"), [("a commit", 700_000), ("the store", 300_000)])
async def test_batches_survive_a_checkpoint_without_space(
    trigger: str,
    free: int,
    rounds: int,
    small_disk: Callable[[int], SmallDisk],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = small_disk(24 + 4 * rounds)  # Leaves space after each round.
    database = disk.path / "solo.duckdb"

    def checkpoints_are_due(are_due: bool) -> None:
        if trigger == "the store":
            monkeypatch.setattr(checkpoints, "MAX_COMMITS", 1 if are_due else 2**40)

    if trigger == "a commit":
        monkeypatch.setattr(connection, "CHECKPOINT_THRESHOLD", "400KB")
        # The store does not expect DuckDB to remove the WAL and shrink the file on its own.
        monkeypatch.setattr(OpenFiles, "is_wal_missing", False)
        monkeypatch.setattr(files, "_size", lambda _: 0)
    else:
        # As if there were always space.
        monkeypatch.setattr(checkpoints, "RESERVED_BYTES", -(2**40))
    async with open_service(database, steady=steady) as service:
        await service.start("b", "steady")
        await service.start("calm")
        reopened = 0
        for _ in range(max(1, rounds // 2)):
            checkpoints_are_due(False)
            if trigger == "the store":  # More than the free space.
                await wait_until(lambda: checkpoints.Wal(database).size > 1_000_000, 30)
            caplog.clear()
            # Usually enough space for the WAL, and not enough for the checkpoint.
            with disk.filled_up_to(free):
                checkpoints_are_due(True)
                # Pending points may not fit into the WAL after a pause. Then writes fail.
                await wait_until(
                    lambda: "Reopening" in caplog.text or service.totals().write_error, 30
                )
                batch = service.batch("b")
                assert (await first_point(service, batch)).seq == 1
            counted = {batch.batch_id: service.row_count(batch) for batch in service.running()}
            await wait_for_new_points(service, counted)
            await wait_until(lambda: not service.totals().write_error)
            reopened += "Reopening" in caplog.text
        last_seqs = {batch_id: (await service.stop(batch_id)).run.last_seq for batch_id in counted}
    assert reopened
    stored = check_integrity(database)
    assert {batch_id: batch.points for batch_id, batch in stored.items()} == last_seqs


def test_app_reports_a_full_disk_and_continues(
    new_app: Callable[..., RunningApp], small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(24)
    app = new_app(disk.path / "solo.duckdb", SOLO_INTERVAL="0").start()

    def overall() -> dict[str, Any]:
        return dict(http.get(f"{app.api}/", timeout=30).json())

    def wait_until(condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while not condition(found := overall()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    assert http.post(f"{app.api}/stream/b").status_code == 201
    full = wait_until(lambda found: found["write_error"] is not None)
    assert "No space left on the disk" in full["write_error"]
    refused = http.post(f"{app.api}/stream/c", timeout=30)
    if refused.status_code != 201:  # There may be space for one more start.
        assert (refused.status_code, refused.headers["content-type"]) == (
            503,
            "application/problem+json",
        )
        assert "No space left on the disk" in refused.json()["detail"]
    last = http.get(f"{app.api}/batches/b/points?after={full['row_count'] - 1}", timeout=30)
    assert [point["seq"] for point in last.json()["points"]] == [full["row_count"]]
    for _ in range(2):
        stopped = http.delete(f"{app.api}/stream/b", timeout=30)
        assert stopped.status_code == 503
        assert "No space left on the disk" in stopped.json()["detail"]
    assert http.get(f"{app.api}/batches/b").json()["status"] == "running"
    disk.grow(1024)
    wait_until(lambda found: not found["write_error"] and found["row_count"] > full["row_count"])
    wait_until(lambda _: http.get(f"{app.api}/batches/b").json()["status"] == "stopped")
    assert app.stop() < EXIT_TIMEOUT
    assert check_integrity(app.database)["b"].points >= full["row_count"]


async def test_app_exits_cleanly_while_the_disk_is_full(
    new_app: Callable[..., RunningApp], small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(24)
    app = new_app(disk.path / "solo.duckdb", SOLO_INTERVAL="0").start()
    assert http.post(f"{app.api}/stream/b").status_code == 201
    wait_for(lambda: http.get(f"{app.api}/", timeout=30).json()["write_error"])
    assert app.stop() < EXIT_TIMEOUT
    disk.grow(1024)
    async with open_service(app.database) as service:
        assert service.batch("b").status is BatchStatus.INTERRUPTED
    check_integrity(app.database)


async def test_start_after_a_kill_reports_a_full_disk(
    small_disk: Callable[[int], SmallDisk],
) -> None:
    disk = small_disk(64)
    database = disk.path / "solo.duckdb"
    async with open_service(database) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count)
        count = (await service.stop("b")).run.last_seq or 0
    with duckdb.connect(database) as connection:
        # With this many minutes, the start needs more than the last page of the WAL.
        connection.execute("UPDATE runs SET ended_at = NULL, status = 'running'")
        connection.execute(
            "INSERT INTO points SELECT 1, ? + i, TIMESTAMP '2026-11-23' + to_minutes(i), i "
            "FROM range(1, 10001) numbers(i)",
            [count],
        )
    with disk.filled_up_to(0):
        with pytest.raises(StoreUnavailableError) as refused:
            await DuckDBStore(database).open()
        assert re.match(r"No space left.*SOLO_DATABASE", str(refused.value))
    async with open_service(database) as service:
        assert service.totals().row_count == count + 10_000
    check_integrity(database)


async def test_points_of_a_commit_reported_as_failed_are_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        insert = duckdb_store(service)._point_writer._insert
        failed: list[object] = []

        def insert_and_fail(*args: object) -> None:
            insert(*args)  # type: ignore[arg-type]
            if len(failed) < 20:
                failed.append(args)
                raise duckdb.FatalException("No space left on device")

        monkeypatch.setattr(duckdb_store(service)._point_writer, "_insert", insert_and_fail)
        await service.start("b")
        await wait_until(lambda: len(failed) == 10)
        await service.stop("b")  # Writes minutes without points.
        await service.start("b")
        await wait_until(lambda: len(failed) == 20)
        await service.stop("b")
    assert check_integrity(tmp_path / "solo.duckdb")["b"].points >= 15


async def test_deletion_succeeds_once_there_is_space(
    small_disk: Callable[[int], SmallDisk], caplog: pytest.LogCaptureFixture
) -> None:
    disk = small_disk(64)
    database, count = disk.path / "solo.duckdb", 200_000
    write_long_history(database, ["a", "b"], count, timedelta(seconds=1), utc_now())
    async with open_service(database) as service:
        store = duckdb_store(service)

        async def points_of_deleted_batches() -> int:
            query = "SELECT count(*) FROM points WHERE batch_no NOT IN (SELECT no FROM batches)"
            ((rows,),) = await store.run_on_reader(lambda c: c.execute(query).fetchall())
            return int(rows)

        with disk.filled_up_to(0):
            with pytest.raises(StoreUnavailableError, match="No space left"):
                await service.delete("b")
            assert service.totals().row_count == 2 * count
            assert [p.seq for p in await service.points("b", count - 1, 10)] == [count]
        with disk.filled_up_to(500_000):
            await service.delete("b")  # The points are removed later.
            await wait_until(lambda: "still occupy space" in caplog.text)
            assert await points_of_deleted_batches() == count
            assert service.totals().row_count == count
        await service.delete("a")
        await store.remove_deleted_points()
        assert await points_of_deleted_batches() == 0
    assert check_integrity(database) == {}


async def test_batch_whose_deletion_was_reported_as_failed_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        writer = duckdb_store(service)._point_writer
        commit = writer.commit

        @contextmanager
        def commit_and_fail() -> Iterator[duckdb.DuckDBPyConnection]:
            with commit() as cursor:
                yield cursor
            raise duckdb.FatalException("No space left on device")

        await service.start("b")
        await wait_until(lambda: service.totals().row_count)
        await service.stop("b")
        with monkeypatch.context() as patch:
            patch.setattr(writer, "commit", commit_and_fail)
            await service.delete("b")
        assert service.batches() == await duckdb_store(service).batches() == []
        await service.start("b")
        assert service.batch("b").run.number == 1
