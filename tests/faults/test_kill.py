"""kill -9 at random moments: whatever a client saw or an answer counted is there afterwards."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx
import pytest

from solo_app.batches.models import BatchStatus
from tests.faults.clients import Asker, Follower, holder_of
from tests.helpers.integrity import check_integrity
from tests.helpers.running_app import BACKEND_ONLY, PROJECT, RunningApp
from tests.helpers.service import open_service

NewApp = Callable[..., RunningApp]

ROUNDS_PER_FILE = 5
"""Kills that one file has to stand before a new one is begun, so that it stays small."""


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.helpers.service import open_service
from solo_app.sources.random import random_numbers

async def main():
    async with open_service(Path(sys.argv[1]), flood=random_numbers(0)) as service:
        for n, source in enumerate(["random", "flood"]):
            await service.start(f"b{n}", source)
        while True:
            await asyncio.sleep(0.002)
            counts = [service.row_count(batch) for batch in service.running()]
            if len(counts) == 2 and all(counts):
                print(*counts, flush=True)

asyncio.run(main())
"""


def killed_while_writing(database: Path, after_lines: int) -> list[int]:
    """Kill a writing process with -9; the row counts that it told last."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(database)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(after_lines)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.readlines()
    whole = [line for line in told if line.endswith("\n")]
    return [int(word) for word in whole[-1].split()]


def harmed(app: RunningApp, kill: Callable[[], None], names: list[str]) -> dict[str, int]:
    """Start batches, let clients look, kill; how far each batch was seen or counted to be."""
    for name in names:
        assert httpx.post(f"{app.api}/stream/{name}").status_code == 201
    followers, asker = [Follower(app, name) for name in names[:3]], Asker(app)
    deadline = time.monotonic() + 20
    while not all(follower.seq for follower in followers) or len(asker.counted) < len(names):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.5))  # The moment is what is tried.
    kill()
    for client in (*followers, asker):
        client.join(20)
    app.kill()
    assert all(follower.in_order for follower in followers)
    seen = dict(asker.counted)
    for follower in followers:
        seen[follower.batch_id] = max(seen[follower.batch_id], follower.seq)
    lasts = {follower.batch_id: follower.last for follower in followers}
    app.start()  # By itself: nothing was tidied up.
    for name, last in lasts.items():
        after = f"{app.api}/batches/{name}/points?after={int(str(last['seq'])) - 1}&limit=1"
        assert httpx.get(after).json()["points"] == [last]
    for name, count in seen.items():
        batch = httpx.get(f"{app.api}/batches/{name}").json()
        assert batch["status"] == "interrupted"
        assert batch["row_count"] >= count, name
    assert httpx.get(f"{app.api}/").json()["row_count"] >= asker.row_count
    return seen


@pytest.mark.anyio
async def test_no_point_that_was_counted_is_lost_by_kill_9(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    told = killed_while_writing(database, after_lines=20)
    async with open_service(database) as service:
        for n, count in enumerate(told):
            batch = service.batch(f"b{n}")
            assert batch.status is BatchStatus.INTERRUPTED
            assert service.row_count(batch) >= count
    with duckdb.connect(database) as connection:
        per_batch = connection.execute(
            "SELECT batch_no, count(*), min(seq), max(seq), count(DISTINCT seq), sum(key)::BIGINT "
            "FROM points GROUP BY batch_no ORDER BY batch_no"
        ).fetchall()
        minutes = connection.execute(
            "SELECT batch_no, sum(count)::BIGINT, sum(sum)::BIGINT FROM minutes "
            "GROUP BY batch_no ORDER BY batch_no"
        ).fetchall()
    assert len(per_batch) == 2
    for _, count, first, last, distinct, _ in per_batch:
        assert (first, last, distinct) == (1, count, count)  # Without gaps or repeats.
    assert minutes == [(no, count, total) for no, count, *_, total in per_batch]


@pytest.mark.parametrize("whom", ["the worker", "reflex run"])
def test_nothing_that_was_seen_is_lost_by_kill_9(
    new_app: NewApp, tmp_path: Path, rounds: int, whom: str
) -> None:
    kills = max(1, rounds if whom == "the worker" else rounds // 3)
    for number in range(kills):
        file, turn = divmod(number, ROUNDS_PER_FILE)
        if turn == 0:
            seen: dict[str, int] = {}
            app = new_app(
                "prod",
                tmp_path / f"{file}.duckdb",
                SOLO_INTERVAL=("0", "0.001")[file % 2],
                **BACKEND_ONLY,
            ).start()
        process = app.process
        assert process

        def kill() -> None:
            worker = holder_of(app)  # noqa: B023
            os.kill(worker if whom == "the worker" else process.pid, signal.SIGKILL)  # noqa: B023
            if whom == "the worker":
                assert process.wait(20) != 0  # noqa: B023
            while Path(f"/proc/{worker}").exists() and _is_alive(worker):
                time.sleep(0.01)

        seen |= harmed(app, kill, [f"b{number}.{n}" for n in range(5)])
        if turn == ROUNDS_PER_FILE - 1 or number == kills - 1:
            app.stop()
            kept = check_integrity(app.database)
            assert set(kept) == set(seen)
            for name, batch in kept.items():
                assert batch.points >= seen[name]
                assert [status for status, *_ in batch.runs] == ["interrupted"]


def _is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_a_start_right_after_a_kill_works_or_names_who_is_in_the_way(
    new_app: NewApp, mode: str
) -> None:
    app = new_app(mode).start()
    assert httpx.post(f"{app.api}/stream/b").status_code == 201
    assert app.process
    session = app.process.pid
    try:
        os.kill(app.process.pid, signal.SIGKILL)
        app.process.wait()
        again = new_app(mode)
        again.backend_port, again.frontend_port = app.backend_port, app.frontend_port
        process = again.launch()
        deadline = time.monotonic() + 60
        while process.poll() is None and not again.is_ready(f"{again.api}/tasks"):
            assert time.monotonic() < deadline, again.output()
            time.sleep(0.1)
        if process.poll() is not None:
            (line,) = [x for x in again.output().splitlines() if "SOLO cannot start" in x]
            named = re.search(r"in use by another (?:program|process) \(process (\d+)\)", line)
            assert named, line
            assert os.getsid(int(named[1])) == session, line
    finally:
        app.kill()
    again.kill()
    again.start()
    assert httpx.get(f"{again.api}/batches/b").json()["status"] == "interrupted"


def test_in_development_a_saved_file_brings_a_killed_worker_back(new_app: NewApp) -> None:
    app = new_app("dev").start()
    httpx.post(f"{app.api}/stream/b")
    os.kill(holder_of(app), signal.SIGKILL)
    gone = threading.Event()
    while app.is_ready(f"{app.api}/tasks"):
        gone.wait(0.1)
    assert app.is_ready(f"{app.url}/")  # The pages stay, and say that they lost the server.
    (app.folder / "solo_app" / "__init__.py").touch()
    deadline = time.monotonic() + 30
    while not app.is_ready(f"{app.api}/tasks"):
        assert time.monotonic() < deadline, app.output()
        gone.wait(0.1)
    assert httpx.get(f"{app.api}/batches/b").json()["status"] == "interrupted"
    assert app.stop() < 2
