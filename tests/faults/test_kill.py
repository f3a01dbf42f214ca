"""``kill -9`` at random moments: all points that a client received or counted are stored."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx
import pytest

from solo_app.batches.models import BatchStatus
from tests.faults.clients import CountPoller, StreamReader, worker_pid
from tests.helpers.integrity import check_integrity
from tests.helpers.running_app import BACKEND_ONLY, EXIT_TIMEOUT, PROJECT, RunningApp, wait_for
from tests.helpers.service import open_service

NewApp = Callable[..., RunningApp]

ROUNDS_PER_FILE = 5
"""Number of kills per database file, so that files stay small."""


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.helpers.service import open_service
from solo_app.sources.random import random_kind

async def main():
    async with open_service(Path(sys.argv[1]), flood=random_kind(0)) as service:
        for n, source in enumerate(["random", "flood"]):
            await service.start(f"b{n}", source)
        while True:
            await asyncio.sleep(0.002)
            counts = [service.row_count(batch) for batch in service.running()]
            if len(counts) == 2 and all(counts):
                print(*counts, flush=True)

asyncio.run(main())
"""


LOGGER = """
import asyncio, itertools, sys, time
from pathlib import Path
from solo_app.batches.source import Parameters, SourceKind
from tests.helpers.service import open_service

async def read(_, context):
    for number in itertools.count():
        context.log(str(number))
        print(number, time.monotonic(), flush=True)
        yield float(number)
        await asyncio.sleep(0.02)

async def main():
    kind = SourceKind("logger", "For tests.", Parameters, read)
    async with open_service(Path(sys.argv[1]), logger=kind) as service:
        await service.start("b", "logger")
        await asyncio.Event().wait()

asyncio.run(main())
"""


def kill_while_writing(database: Path, program: str, after_lines: int) -> list[str]:
    """Kill a process after it has printed some lines, and return all complete ones."""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(database)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(after_lines)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
    return [line for line in lines if line.endswith("\n")]


def kill_and_restart(app: RunningApp, kill: Callable[[], None], names: list[str]) -> dict[str, int]:
    """Kill an app with running batches and clients, and check it after a restart.

    Returns the number of points of each batch that clients have received or counted.
    """
    for name in names:
        assert httpx.post(f"{app.api}/stream/{name}").status_code == 201
    readers, poller = [StreamReader(app, name) for name in names[:3]], CountPoller(app)
    wait_for(lambda: all(r.seq for r in readers) and len(poller.row_counts) == len(names))
    time.sleep(random.uniform(0, 0.5))  # Kill at a random moment.
    kill()
    for client in (*readers, poller):
        client.join(20)
    app.kill()
    assert all(reader.is_in_order for reader in readers)
    seen = dict(poller.row_counts)
    app.start()
    for reader in readers:
        seen[reader.batch_id] = max(seen[reader.batch_id], reader.seq)
        url = f"{app.api}/batches/{reader.batch_id}/points?after={reader.seq - 1}&limit=1"
        assert httpx.get(url).json()["points"] == [reader.last]
    for name, count in seen.items():
        batch = httpx.get(f"{app.api}/batches/{name}").json()
        assert batch["status"] == "interrupted"
        assert batch["row_count"] >= count, name
    assert httpx.get(f"{app.api}/").json()["row_count"] >= poller.row_count
    return seen


@pytest.mark.anyio
async def test_killed_process_keeps_all_counted_points(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    lines = kill_while_writing(database, WRITER, after_lines=20)
    async with open_service(database) as service:
        for n, count in enumerate(map(int, lines[-1].split())):
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
        assert (first, last, distinct) == (1, count, count)  # No gaps or duplicates.
    assert minutes == [(no, count, total) for no, count, *_, total in per_batch]


@pytest.mark.anyio
async def test_killed_process_keeps_log_lines_older_than_two_seconds(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    printed = kill_while_writing(database, LOGGER, after_lines=175)
    times = {number: float(time) for number, time in map(str.split, printed)}
    expected = [number for number, time in times.items() if time < max(times.values()) - 2]
    assert len(expected) > 20
    async with open_service(database) as service:
        started, *logged, interrupted = [line.text for line in await service.log("b")]
        assert logged[: len(expected)] == expected
        assert (started[:7], interrupted[:11]) == ("Started", "Interrupted")


@pytest.mark.parametrize("target", ["worker", "main process"])
def test_killed_app_keeps_all_received_points(
    new_app: NewApp, tmp_path: Path, rounds: int, target: str
) -> None:
    kills = max(1, rounds if target == "worker" else rounds // 3)
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
            worker = worker_pid(app)  # noqa: B023
            os.kill(worker if target == "worker" else process.pid, signal.SIGKILL)  # noqa: B023
            if target == "worker":
                assert process.wait(20) != 0  # noqa: B023
            wait_for(lambda: not _is_alive(worker))

        seen |= kill_and_restart(app, kill, [f"b{number}.{n}" for n in range(5)])
        if turn == ROUNDS_PER_FILE - 1 or number == kills - 1:
            app.stop()
            stored = check_integrity(app.database)
            assert set(stored) == set(seen)
            for name, batch in stored.items():
                assert batch.points >= seen[name]
                assert [status for status, *_ in batch.runs] == ["interrupted"]


def _is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_start_after_a_kill_succeeds_or_names_the_old_process(new_app: NewApp, mode: str) -> None:
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
        wait_for(lambda: process.poll() is not None or again.is_ready(f"{again.api}/tasks"))
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


def test_saved_file_restarts_a_killed_worker_in_development(new_app: NewApp) -> None:
    app = new_app("dev").start()
    httpx.post(f"{app.api}/stream/b")
    os.kill(worker_pid(app), signal.SIGKILL)
    wait_for(lambda: not app.is_ready(f"{app.api}/tasks"))
    assert app.is_ready(f"{app.url}/")
    (app.folder / "solo_app" / "__init__.py").touch()
    wait_for(lambda: app.is_ready(f"{app.api}/tasks"))
    assert httpx.get(f"{app.api}/batches/b").json()["status"] == "interrupted"
    assert app.stop() < EXIT_TIMEOUT
