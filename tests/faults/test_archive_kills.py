"""``kill -9`` while points are archived: afterwards each point is stored exactly once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.models import utc_now
from tests.helpers.history import write_long_history
from tests.helpers.running_app import PROJECT
from tests.helpers.service import open_service

pytestmark = pytest.mark.anyio

POINTS = 400_000
"""Points of each of the two batches: ten archive files."""

SCRIPT = """
import asyncio, itertools, os, signal, sys
from datetime import timedelta
from pathlib import Path
from solo_app.batches.models import utc_now
from solo_app.batches.retention import Retention
from solo_app.storage.duckdb.archive import Archive
from tests.helpers.service import duckdb_store, open_service

STEPS = {"commit": (Archive, "commit_move"), "rename": (Path, "rename")}

def kill_before(step, call):
    owner, name = STEPS[step]
    method = getattr(owner, name)
    calls = itertools.count(1)

    def replacement(*args):
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args)

    setattr(owner, name, replacement)

async def main():
    async with open_service(Path(sys.argv[1])) as service:
        await service.start("live")
        if len(sys.argv) > 2:
            kill_before(sys.argv[2], int(sys.argv[3]))
        print("started", flush=True)
        store, day = duckdb_store(service), timedelta(days=1)
        retention = Retention(store, day, utc_now, points_per_file=40_000)
        await retention.archive_old_points()
        print("done", service.row_count(service.batch("live")), flush=True)

asyncio.run(main())
"""


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


def archive_old_points(database: Path, *step: str, kill_after: float | None = None) -> str:
    """Archive old points in a process that is killed at a step or after some seconds.

    Returns its output.
    """
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(database), *step],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        output = process.stdout.readline()
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process.pid, signal.SIGKILL)
        return output + process.stdout.read()


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
    assert "done" not in archive_old_points(database, step, str(call))
    assert len(list(database.with_name("solo.duckdb.archive").glob(".*"))) == 1
    await check_stored_points(database)
    # The next run completes the interrupted move.
    assert "done" in archive_old_points(database)
    await check_stored_points(database)
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT * FROM points WHERE batch_no < 3").fetchall() == []


@pytest.mark.parametrize("round_", range(5))
async def test_kill_at_a_random_moment_keeps_each_point_once(database: Path, round_: int) -> None:
    for _ in range(4):
        archive_old_points(database, kill_after=random.uniform(0, 0.15))
        await check_stored_points(database)
