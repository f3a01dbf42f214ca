"""Without room on the disk batches wait and say so; with room again they go on by themselves."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import Batch, Point
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.storage.duckdb import checkpoints, connection, files
from solo_app.storage.duckdb.files import OpenFiles
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.integrity import check_integrity
from tests.helpers.running_app import RunningApp
from tests.helpers.service import duckdb_store, open_service, wait_until
from tests.helpers.small_disk import SmallDisk

pytestmark = pytest.mark.anyio


async def flood() -> AsyncIterator[Numbers]:
    """Numbers as fast as they are taken, which no file holds in less than they are.

    Their sum stays one that a float holds exactly, in whatever order they are added up.
    """
    numbers = np.random.default_rng()
    while True:
        yield numbers.integers(-(2**29), 2**29, 16_384).astype(np.float64)
        await asyncio.sleep(0)


async def steady() -> AsyncIterator[Numbers]:
    """Some hundred kilobytes at a time, which DuckDB may write into the file without the log."""
    numbers = np.random.default_rng()
    while True:
        yield numbers.integers(0, 2**30, 8_000).astype(np.float64)
        await asyncio.sleep(0.05)


async def is_full(service: BatchService) -> dict[str, int]:
    """Wait until points wait; what is counted then can still be read."""
    await wait_until(lambda: service.totals().write_error, 60)
    assert "No space left on the disk" in (service.totals().write_error or "")
    counted = {batch.batch_id: service.row_count(batch) for batch in service.running()}
    for batch in service.running():
        last = counted[batch.batch_id]
        assert [p.seq for p in await service._store.points(batch.no, last - 1, 1)] == [last]
    return counted


async def first_point(service: BatchService, batch: Batch) -> Point:
    """While checkpoints fail one after the other a question may be refused; it is asked again."""
    for _ in range(100):
        with suppress(StoreUnavailableError):
            return (await service._store.points(batch.no, 0, 1))[0]
    raise AssertionError("no question is answered")


async def goes_on(service: BatchService, counted: dict[str, int]) -> None:
    """Wait until every batch has new points."""
    for batch_id, count in counted.items():
        await wait_until(lambda: service.row_count(service.batch(batch_id)) > count, 60)  # noqa: B023


async def test_batches_wait_and_tell_and_go_on_when_there_is_room(
    rounds: int, small_disk: Callable[[int], SmallDisk]
) -> None:
    size = 24
    disk = small_disk(size)
    async with open_service(disk.path / "solo.duckdb", flood=flood) as service:
        await service.start("calm")
        await service.start("flood", "flood")
        for _ in range(rounds):
            counted = await is_full(service)
            size += 4
            disk.grow(size)
            await goes_on(service, counted)
        disk.grow(size + 512)
        await goes_on(service, counted)
        await wait_until(lambda: not service.totals().write_error)
        told = {batch_id: (await service.stop(batch_id)).run.last_seq for batch_id in counted}
    kept = check_integrity(disk.path / "solo.duckdb")
    assert {batch_id: batch.points for batch_id, batch in kept.items()} == told


@pytest.mark.parametrize(("set_off_by", "left"), [("a commit", 700_000), ("the store", 300_000)])
async def test_a_checkpoint_without_room_ends_nothing(
    set_off_by: str,
    left: int,
    rounds: int,
    small_disk: Callable[[int], SmallDisk],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = small_disk(24 + 4 * rounds)  # So that there is room again after each round.
    database = disk.path / "solo.duckdb"

    def checkpoints_are_due(are_due: bool) -> None:
        if set_off_by == "the store":
            monkeypatch.setattr(checkpoints, "MAX_COMMITS", 1 if are_due else 2**40)

    if set_off_by == "a commit":
        monkeypatch.setattr(connection, "CHECKPOINT_THRESHOLD", "400KB")
        # The store does not expect DuckDB to remove the WAL and shrink the file by itself.
        monkeypatch.setattr(OpenFiles, "is_wal_missing", False)
        monkeypatch.setattr(files, "_size", lambda _: 0)
    else:
        monkeypatch.setattr(
            checkpoints, "RESERVED_BYTES", -(2**40)
        )  # As if there were always room.
    async with open_service(database, steady=steady) as service:
        await service.start("b", "steady")
        await service.start("calm")
        opened_again = 0
        for _ in range(rounds):
            checkpoints_are_due(False)
            if set_off_by == "the store":  # More than what a full disk has left.
                await wait_until(lambda: checkpoints.Wal(database).size > 1_000_000, 30)
            caplog.clear()
            # Mostly room for the log, and none for what it is folded into.
            with disk.filled_up_to(left):
                checkpoints_are_due(True)
                # What gathered in a pause may be more than the log has room for; then points wait.
                await wait_until(
                    lambda: "Reopening" in caplog.text or service.totals().write_error, 30
                )
                batch = service.batch("b")
                assert (await first_point(service, batch)).seq == 1
            counted = {batch.batch_id: service.row_count(batch) for batch in service.running()}
            await goes_on(service, counted)
            await wait_until(lambda: not service.totals().write_error)
            opened_again += "Reopening" in caplog.text
        told = {batch_id: (await service.stop(batch_id)).run.last_seq for batch_id in counted}
    assert opened_again
    kept = check_integrity(database)
    assert {batch_id: batch.points for batch_id, batch in kept.items()} == told


def test_the_app_reports_a_full_disk_and_continues_without_a_restart(
    new_app: Callable[..., RunningApp], small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(24)
    app = new_app("prod", disk.path / "solo.duckdb", SOLO_INTERVAL="0").start()

    def overall() -> dict[str, Any]:
        return dict(httpx.get(f"{app.api}/", timeout=30).json())

    def wait_until(condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while not condition(found := overall()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    assert httpx.post(f"{app.api}/stream/b").status_code == 201
    full = wait_until(lambda found: found["write_error"] is not None)
    assert "No space left on the disk" in full["write_error"]
    refused = httpx.post(f"{app.api}/stream/c", timeout=30)
    if refused.status_code != 201:  # A start may still find the room it needs.
        assert (refused.status_code, refused.headers["content-type"]) == (
            503,
            "application/problem+json",
        )
        assert "No space left on the disk" in refused.json()["detail"]
    last = httpx.get(f"{app.api}/batches/b/points?after={full['row_count'] - 1}", timeout=30)
    assert [point["seq"] for point in last.json()["points"]] == [full["row_count"]]
    for _ in range(2):
        stopped = httpx.delete(f"{app.api}/stream/b", timeout=30)
        assert stopped.status_code == 503
        assert "No space left on the disk" in stopped.json()["detail"]
    assert httpx.get(f"{app.api}/batches/b").json()["status"] == "running"
    disk.grow(1024)
    wait_until(lambda found: not found["write_error"] and found["row_count"] > full["row_count"])
    wait_until(lambda _: httpx.get(f"{app.api}/batches/b").json()["status"] == "stopped")
    assert app.stop() < 3
    assert check_integrity(app.database)["b"].points >= full["row_count"]


def test_the_app_ends_while_the_disk_is_full(
    new_app: Callable[..., RunningApp], small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(24)
    app = new_app("prod", disk.path / "solo.duckdb", SOLO_INTERVAL="0").start()
    assert httpx.post(f"{app.api}/stream/b").status_code == 201
    deadline = time.monotonic() + 60
    while httpx.get(f"{app.api}/", timeout=30).json()["write_error"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert app.stop() < 3
    disk.grow(1024)
    app.start()
    assert httpx.get(f"{app.api}/batches/b").json()["status"] == "interrupted"
    assert app.stop() < 3
    check_integrity(app.database)


async def test_a_start_after_a_kill_tells_that_there_is_no_room_and_nothing_else(
    small_disk: Callable[[int], SmallDisk],
) -> None:
    disk = small_disk(64)
    database = disk.path / "solo.duckdb"
    async with open_service(database) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count)
        count = (await service.stop("b")).run.last_seq or 0
    with duckdb.connect(database) as connection:
        # Of so many minutes that what a start has to write does not fit into the log's last page.
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


async def test_nothing_is_written_twice_when_a_commit_held_that_was_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        insert = duckdb_store(service)._point_writer._insert
        failed: list[object] = []

        def hold_and_fail(*args: object) -> None:
            insert(*args)  # type: ignore[arg-type]
            if len(failed) < 20:
                failed.append(args)
                raise duckdb.FatalException("No space left on device")

        monkeypatch.setattr(duckdb_store(service)._point_writer, "_insert", hold_and_fail)
        await service.start("b")
        await wait_until(lambda: len(failed) == 10)
        await service.stop("b")  # Minutes without points are written then.
        await service.start("b")
        await wait_until(lambda: len(failed) == 20)
        await service.stop("b")
    assert check_integrity(tmp_path / "solo.duckdb")["b"].points >= 15
