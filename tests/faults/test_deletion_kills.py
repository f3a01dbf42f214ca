"""``kill -9`` while a batch is deleted: afterwards it is complete or gone."""

from __future__ import annotations

import random
import shutil
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.models import utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.storage.duckdb import deletions
from solo_app.storage.duckdb.store import DuckDBStore
from solo_app.storage.duckdb.writer import PointWriter
from tests.faults.child_process import Send, child_process, kill_before_call
from tests.helpers.history import write_long_history
from tests.helpers.service import duckdb_store, open_service

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("deletion_kills")]

POINTS = 20_000
"""Points of each of the two batches: eight archive files, and six hours in the database."""

STEPS: dict[str, tuple[object, str]] = {
    "rename": (Path, "rename"),
    "delete": (deletions, "delete_batch"),
    "unlink": (Path, "unlink"),
    "part": (PointWriter, "execute"),
}


async def delete(send: Send, database: Path, step: str = "", call: int = 0) -> None:
    """Delete batch ``b``. The process is killed before a call of a step."""
    deletions.POINTS_PER_PART = 200
    async with open_service(database) as service:
        await service.start("live")
        if step:
            kill_before_call(*STEPS[step], call)
        send("started")
        await service.delete("b")
        send("deleted")
        await duckdb_store(service).remove_deleted_points()
        send("removed")


@pytest.fixture(scope="module")
async def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with archived points. Copy its folder before use."""
    database = tmp_path_factory.mktemp("history") / "solo.duckdb"
    write_long_history(database, ["a", "b"], POINTS, timedelta(seconds=5), utc_now())
    store = DuckDBStore(database)
    async with open_service(store):
        retention = Retention(store, timedelta(hours=6), utc_now, points_per_file=2_000)
        assert await retention.archive_old_points() > POINTS / 2
    return database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    return shutil.copytree(history.parent, tmp_path / "data") / history.name


def delete_in_child(database: Path, *step: str | int, kill_after: float | None = None) -> list[str]:
    """Delete batch ``b`` in a process that is killed at a step or after some seconds.

    Returns its messages.
    """
    with child_process(delete, database, *step) as (process, messages):
        received = [next(messages)]
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        return received + list(messages)


async def read_seqs(service: BatchService, batch_id: str) -> list[int]:
    seqs: list[int] = []
    while points := await service.points(batch_id, len(seqs), 100_000):
        seqs += [point.seq for point in points]
    return seqs


async def check_stored_batches(database: Path) -> bool:
    """Check that batch ``b`` is complete or gone, and batch ``a`` complete.

    Returns whether ``b`` exists.
    """
    store = DuckDBStore(database)
    async with open_service(store) as service:
        rows = {b.batch_id: service.row_count(b) for b in service.batches()}
        exists = "b" in rows
        for batch_id in ("a", "b") if exists else ("a",):
            assert rows[batch_id] == POINTS
            assert await read_seqs(service, batch_id) == list(range(1, POINTS + 1))
        assert service.totals().row_count == sum(rows.values())
        await store.remove_deleted_points()
    with duckdb.connect(database) as connection:
        files = connection.execute("SELECT file FROM archives").fetchall()
        folder = database.with_name(f"{database.name}.archive")
        assert sorted(path.name for path in folder.iterdir()) == sorted(f for (f,) in files)
        for table in ("points", "minutes", "counters", "archives", "runs", "log_lines", "receipts"):
            query = f"SELECT count(*) FROM {table} WHERE batch_no NOT IN (SELECT no FROM batches)"
            assert connection.execute(query).fetchall() == [(0,)], table
        assert connection.execute("SELECT * FROM deletions").fetchall() == []
    return exists


@pytest.mark.parametrize(
    ("step", "call", "exists"),
    [
        ("rename", 1, True),
        ("rename", 4, True),
        ("delete", 1, True),
        ("unlink", 1, False),
        ("unlink", 4, False),
        ("part", 1, False),
        ("part", 9, False),
    ],
)
async def test_kill_between_steps_leaves_a_complete_batch_or_none(
    database: Path, step: str, call: int, exists: bool
) -> None:
    assert "removed" not in delete_in_child(database, step, call)
    assert await check_stored_batches(database) == exists


async def test_kill_at_any_moment_leaves_a_complete_batch_or_none(
    database: Path, rounds: int
) -> None:
    for _ in range(rounds):
        messages = delete_in_child(database, kill_after=random.uniform(0, 0.15))
        exists = await check_stored_batches(database)
        if not exists:
            return
        assert "deleted" not in messages


async def test_deletion_without_a_kill_is_complete(database: Path) -> None:
    assert "removed" in delete_in_child(database)
    assert not await check_stored_batches(database)
