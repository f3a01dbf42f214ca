"""``kill -9`` while points go into the archive: each is in one place afterwards, in one only."""

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
"""Of each of the two batches; ten files each."""

KEEPER = """
import asyncio, itertools, os, signal, sys
from datetime import timedelta
from pathlib import Path
from solo_app.batches.models import utc_now
from solo_app.batches.retention import Retention
from solo_app.storage.duckdb.archive import Archive
from tests.helpers.service import open_service

AFTER = {"written": (Archive, "commit_move"), "removed": (Path, "rename")}

def die_after(step, times):
    owner, name = AFTER[step]
    do = getattr(owner, name)
    began = itertools.count(1)

    def or_die(*args):
        if next(began) == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*args)

    setattr(owner, name, or_die)

async def main():
    async with open_service(Path(sys.argv[1])) as service:
        await service.start("live")
        if len(sys.argv) > 2:
            die_after(sys.argv[2], int(sys.argv[3]))
        print("begins", flush=True)
        retention = Retention(service._store, timedelta(days=1), utc_now, points_per_file=40_000)
        await retention.archive_old_points()
        print("done", service.row_count(service.batch("live")), flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("past") / "solo.duckdb"
    end = utc_now() - timedelta(days=3)
    write_long_history(database, ["a", "b"], POINTS, timedelta(seconds=0.25), end)
    return database


@pytest.fixture
def database(past: Path, tmp_path: Path) -> Path:
    shutil.copy(past, tmp_path)
    return tmp_path / past.name


def archive_old_points(database: Path, *step: str, kill_after: float | None = None) -> str:
    """What a process said that archives, and that a step or some seconds may be the end of."""
    with subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(database), *step],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        said = process.stdout.readline()
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process.pid, signal.SIGKILL)
        return said + process.stdout.read()


async def counted_after_a_start(database: Path) -> None:
    """Start again, and find each point where one reads it, however one reads it."""
    async with open_service(database) as service:
        rows = {b.batch_id: service.row_count(b) for b in service.batches()}
        assert rows["a"] == rows["b"] == POINTS
        for batch_id in rows:
            after = random.randrange(rows[batch_id] + 1)
            found = [point.seq for point in await service.points(batch_id, after, 100)]
            assert found == list(range(after + 1, min(after + 100, rows[batch_id]) + 1))
    archive = database.with_name(f"{database.name}.archive")
    files = [path.name for path in archive.iterdir()] if archive.exists() else []
    with duckdb.connect(database) as plain:
        known = plain.execute("SELECT file FROM archives").fetchall()
        assert sorted(files) == sorted(name for (name,) in known)
        archived = f"UNION ALL SELECT batch_id, seq FROM '{archive}/*.parquet'" if files else ""
        counted = plain.execute(
            "SELECT batch_id, count(*), count(DISTINCT seq), min(seq), max(seq) FROM ("
            f"SELECT batch_id, seq FROM points JOIN batches ON no = batch_no {archived})"
            " GROUP BY batch_id"
        ).fetchall()
        minutes = plain.execute(
            "SELECT batch_id, sum(count)::BIGINT FROM minutes JOIN batches ON no = batch_no "
            "GROUP BY batch_id"
        ).fetchall()
    assert {batch_id: numbers for batch_id, *numbers in counted} == {
        batch_id: [count, count, 1, count] for batch_id, count in rows.items() if count
    }
    assert dict(minutes) == {batch_id: count for batch_id, count in rows.items() if count}


@pytest.mark.parametrize("times", [1, 2, 11])
@pytest.mark.parametrize("step", ["written", "removed"])
async def test_killed_between_two_steps(database: Path, step: str, times: int) -> None:
    assert "done" not in archive_old_points(database, step, str(times))
    assert len(list(database.with_name("solo.duckdb.archive").glob(".*"))) == 1
    await counted_after_a_start(database)
    # What was broken off is brought to its end by the next one.
    assert "done" in archive_old_points(database)
    await counted_after_a_start(database)
    with duckdb.connect(database) as plain:
        assert plain.execute("SELECT * FROM points WHERE batch_no < 3").fetchall() == []


@pytest.mark.parametrize("round_", range(5))
async def test_killed_at_random_moments(database: Path, round_: int) -> None:
    for _ in range(4):
        archive_old_points(database, kill_after=random.uniform(0, 0.15))
        await counted_after_a_start(database)
