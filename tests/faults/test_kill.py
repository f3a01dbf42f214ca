"""``kill -9`` at random moments: all points that a client received or counted are stored."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from solo_app.batches.models import BatchStatus
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.random import random_kind
from tests.faults.child_process import Send, Work, child_process
from tests.faults.clients import CountPoller, StreamReader, worker_pid, worker_pids
from tests.helpers.integrity import check_integrity
from tests.helpers.running_app import EXIT_TIMEOUT, RunningApp, http, wait_for
from tests.helpers.service import open_service

NewApp = Callable[..., RunningApp]

ROUNDS_PER_FILE = 5
"""Number of kills per database file, so that files stay small."""


async def write(send: Send, database: Path) -> None:
    """Write two batches, and send their row counts."""
    async with open_service(database, flood=random_kind(0)) as service:
        for n, source in enumerate(["random", "flood"]):
            await service.start(f"b{n}", source)
        while True:
            await asyncio.sleep(0.002)
            counts = [service.row_count(batch) for batch in service.running()]
            if len(counts) == 2 and all(counts):
                send(counts)


async def write_log(send: Send, database: Path) -> None:
    """Write a batch with log lines, and send each line with its time."""

    async def read(_: Parameters, context: RunContext) -> AsyncIterator[Numbers]:
        for number in itertools.count():
            context.log(str(number))
            send((str(number), time.monotonic()))
            yield float(number)
            await asyncio.sleep(0.02)

    kind = SourceKind("logger", "For tests.", Parameters, read)
    async with open_service(database, logger=kind) as service:
        await service.start("b", "logger")
        await asyncio.Event().wait()


def kill_while_writing(database: Path, work: Work, after_messages: int) -> list[Any]:
    """Kill a process after it has sent some messages, and return all of them."""
    with child_process(work, database) as (process, messages):
        received = list(itertools.islice(messages, after_messages))
        process.kill()
        return received + list(messages)


def kill_and_restart(app: RunningApp, kill: Callable[[], None], names: list[str]) -> dict[str, int]:
    """Kill an app with running batches and clients, and check it after a restart.

    Returns the number of points of each batch that clients have received or counted.
    """
    for name in names:
        assert http.post(f"{app.api}/stream/{name}").status_code == 201
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
        assert http.get(url).json()["points"] == [reader.last]
    for name, count in seen.items():
        batch = http.get(f"{app.api}/batches/{name}").json()
        assert batch["status"] == "interrupted"
        assert batch["row_count"] >= count, name
    assert http.get(f"{app.api}/").json()["row_count"] >= poller.row_count
    return seen


@pytest.mark.anyio
async def test_killed_process_keeps_all_counted_points(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    sent = kill_while_writing(database, write, after_messages=20)
    async with open_service(database) as service:
        for n, count in enumerate(sent[-1]):
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
    sent = kill_while_writing(database, write_log, after_messages=175)
    end = sent[-1][1]
    expected = [text for text, logged_at in sent if logged_at < end - 2]
    assert len(expected) > 20
    async with open_service(database) as service:
        started, *logged, interrupted = [line.text for line in await service.log("b")]
        assert logged[: len(expected)] == expected
        assert (started[:7], interrupted[:11]) == ("Started", "Interrupted")


@pytest.mark.parametrize(("target", "interval"), [("worker", "0"), ("main process", "0.001")])
def test_killed_app_keeps_all_received_points(
    new_app: NewApp, tmp_path: Path, rounds: int, target: str, interval: str
) -> None:
    kills = max(1, rounds // 4)
    for number in range(kills):
        file, turn = divmod(number, ROUNDS_PER_FILE)
        if turn == 0:
            seen: dict[str, int] = {}
            database = tmp_path / f"{file}.duckdb"
            app = new_app(database, SOLO_INTERVAL=interval).start()
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
    app = new_app(mode=mode).start()
    assert http.post(f"{app.api}/stream/b").status_code == 201
    assert app.process
    old = app.processes()
    os.kill(app.process.pid, signal.SIGKILL)
    app.process.wait()
    again = new_app(mode=mode)
    again.backend_port, again.frontend_port = app.backend_port, app.frontend_port
    process = again.launch()

    def has_started() -> bool:
        # The old worker may respond until it has closed the database.
        is_ready = again.is_ready(f"{again.api}/tasks")
        return is_ready and not set(worker_pids(again)).isdisjoint(again.processes())

    wait_for(lambda: process.poll() is not None or has_started())
    if process.poll() is not None:
        (line,) = [x for x in again.output().splitlines() if "SOLO cannot start" in x]
        refusal = re.search(r"in use by another (?:program|process)(?: \(process (\d+)\))?", line)
        assert refusal, line
        # The process is not named if it has just ended.
        assert refusal[1] is None or int(refusal[1]) in old, line
        app.kill()
        again.start()
    assert http.get(f"{again.api}/batches/b").json()["status"] == "interrupted"


def test_saved_file_restarts_a_killed_worker_in_development(new_app: NewApp) -> None:
    app = new_app(mode="dev").start()
    http.post(f"{app.api}/stream/b")
    os.kill(worker_pid(app), signal.SIGKILL)
    wait_for(lambda: not app.is_ready(f"{app.api}/tasks"))
    assert app.is_ready(f"{app.url}/")
    (app.folder / "solo_app" / "__init__.py").touch()
    wait_for(lambda: app.is_ready(f"{app.api}/tasks"))
    assert http.get(f"{app.api}/batches/b").json()["status"] == "interrupted"
    assert app.stop() < EXIT_TIMEOUT
