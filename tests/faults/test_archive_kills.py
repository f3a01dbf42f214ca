"""``kill -9`` while points are archived: afterwards each point is stored exactly once."""

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
from solo_app.storage.duckdb.archive import Archive
from tests.faults.child_process import Send, child_process, kill_before_call
from tests.helpers.history import write_long_history
from tests.helpers.service import duckdb_store, open_service

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("archive_kills")]

POINTS = 100_000
"""Points of each of the two batches: ten archive files."""

STEPS: dict[str, tuple[object, str]] = {
    "commit": (Archive, "commit_move"),
    "rename": (Path, "rename"),
}


async def archive(send: Send, database: Path, step: str = "", call: int = 0) -> None:
    """Archive the old points. The process is killed before a call of a step."""
    async with open_service(database) as service:
        await service.start("live")
        if step:
            kill_before_call(*STEPS[step], call)
        send("started")
        store, day = duckdb_store(service), timedelta(days=1)
        await Retention(store, day, utc_now, points_per_file=10_000).archive_old_points()
        send("done")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("history") / "solo.duckdb"
    end = utc_now() - timedelta(days=3)
    write_long_history(database, ["a", "b"], POINTS, timedelta(seconds=0.25), end)
    return database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    shutil.copy(history, tmp_path)
    return tmp_path / history.name


def archive_in_child(
    database: Path, *step: str | int, kill_after: float | None = None
) -> list[str]:
    """Archive old points in a process that is killed at a step or after some seconds.

    Returns its messages.
    """
    with child_process(archive, database, *step) as (process, messages):
        received = [next(messages)]
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        return received + list(messages)


async def check_stored_points(database: Path) -> None:
    """Open the service, then check that each point is stored exactly once."""
    async with open_service(database) as service:
        rows = {b.batch_id: service.row_count(b) for b in service.batches()}
        assert rows["a"] == rows["b"] == POINTS
        for batch_id in rows:
            after = random.randrange(rows[batch_id] + 1)
            found = [point.seq for point in await service.points(batch_id, after, 100)]
            assert found == list(range(after + 1, min(after + 100, rows[batch_id]) + 1))
    archive = database.with_name(f"{database.name}.archive")
    files = [path.name for path in archive.iterdir()] if archive.exists() else []
    with duckdb.connect(database) as connection:
        registered = connection.execute("SELECT file FROM archives").fetchall()
        assert sorted(files) == sorted(name for (name,) in registered)
        archived = f"UNION ALL SELECT batch_id, seq FROM '{archive}/*.parquet'" if files else ""
        counted = connection.execute(
            "SELECT batch_id, count(*), count(DISTINCT seq), min(seq), max(seq) FROM ("
            f"SELECT batch_id, seq FROM points JOIN batches ON no = batch_no {archived})"
            " GROUP BY batch_id"
        ).fetchall()
        minutes = connection.execute(
            "SELECT batch_id, sum(count)::BIGINT FROM minutes JOIN batches ON no = batch_no "
            "GROUP BY batch_id"
        ).fetchall()
    assert {batch_id: numbers for batch_id, *numbers in counted} == {
        batch_id: [count, count, 1, count] for batch_id, count in rows.items() if count
    }
    assert dict(minutes) == {batch_id: count for batch_id, count in rows.items() if count}


@pytest.mark.parametrize("call", [1, 2, 11])
@pytest.mark.parametrize("step", ["commit", "rename"])
async def test_kill_between_steps_keeps_each_point_once(
    database: Path, step: str, call: int
) -> None:
    assert "done" not in archive_in_child(database, step, call)
    assert len(list(database.with_name("solo.duckdb.archive").glob(".*"))) == 1
    await check_stored_points(database)
    # The next run completes the interrupted move.
    assert "done" in archive_in_child(database)
    await check_stored_points(database)
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT * FROM points WHERE batch_no < 3").fetchall() == []


async def test_kill_at_a_random_moment_keeps_each_point_once(database: Path, rounds: int) -> None:
    for _ in range(rounds):
        archive_in_child(database, kill_after=random.uniform(0, 0.15))
        await check_stored_points(database)
