"""Declared sources of all kinds: secrets, resources after a stop, and ``kill -9``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from solo_app.batches.models import RestartPolicy, utc_now
from solo_app.batches.service import BatchService
from solo_app.batches.source import DeclaredSource, SourceKind
from solo_app.config import Settings
from solo_app.sources import create_sources
from tests.faults.clients import worker_pid
from tests.faults.test_sources import create_executor_threads, expect_no_more, resources
from tests.helpers.api import create_client
from tests.helpers.running_app import RunningApp, http, wait_for
from tests.helpers.service import FAST_RETRY, open_service, wait_until
from tests.sources.http_server import response, serve
from tests.sources.mqtt_broker import needs_mosquitto, run_broker

SECRET = "s3cret"

CONFIG = """
[sources.command-works]
kind = "command"
argv = ["sh", "-c", "echo '{{\\"s3cret\\": 1}}'; exec sleep 60", "s3cret"]
env = {{ s3cret = "s3cret" }}
pointer = "/s3cret"

[sources.command-fails]
kind = "command"
argv = ["sh", "-c", "exit 3 # s3cret"]

[sources.python-works]
kind = "python"
target = "s3cret:s3cret"
arguments = {{ s3cret = "s3cret" }}

[sources.python-fails]
kind = "python"
target = "s3cret:s3cret_missing"

[sources.replay-works]
kind = "replay"
path = "s3cret.csv"
column = "s3cret"
time_column = "s3cret time"

[sources.replay-fails]
kind = "replay"
path = "s3cret.csv"
column = "s3cret missing"

[sources.http-works]
kind = "http"
url = "{url}s3cret"
method = "POST"
headers = {{ s3cret = "s3cret" }}
body = "s3cret"
pointer = "/s3cret"

[sources.http-fails]
kind = "http"
url = "http://s3cret:s3cret@127.0.0.1:1/s3cret"

[sources.mqtt-works]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
topic = "s3cret/#"
pointer = "/s3cret"
username = "s3cret"
password = "s3cret"

[sources.mqtt-fails]
kind = "mqtt"
host = "127.0.0.1"
port = 1
topic = "s3cret/s3cret"
"""

MODULE = """
import asyncio

async def s3cret(s3cret):
    yield 1
    await asyncio.sleep(60)
"""

STUBBORN = "trap '' TERM; sleep 600 & echo 1; while :; do sleep 600; done"

KILLED = f"""
[sources.shell]
kind = "command"
argv = ["sh", "-c", "{STUBBORN}"]

[sources.generator]
kind = "python"
target = "stubborn:run"
"""

KILLED_MODULE = """
import signal, subprocess, time

async def run():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "600"])
    yield 1
    time.sleep(600)
"""


def declare(folder: Path, url: str = "http://127.0.0.1:1/", port: int = 1) -> dict[str, SourceKind]:
    """Declare a source of each kind that works and one that fails."""
    (folder / "s3cret.py").write_text(MODULE)
    (folder / "s3cret.csv").write_text("s3cret,s3cret time\n1,0\n2,600\n")
    config = folder / "solo.toml"
    config.write_text(CONFIG.format(url=url, port=port))
    kinds = create_sources(Settings.model_construct(config=config))
    return {name: kind for name, kind in kinds.items() if isinstance(kind, DeclaredSource)}


async def run_all(service: BatchService, names: list[str]) -> None:
    """Run each source, up to five at a time, until it has a point or has failed."""
    for start in range(0, len(names), 5):
        some = names[start : start + 5]
        for name in some:
            await service.start(name, name, restart=RestartPolicy.NEVER)
        await wait_until(
            lambda: all(
                service.row_count(service.batch(n)) or not service.batch(n).is_running
                for n in some  # noqa: B023
            )
        )
        await asyncio.gather(*(service.stop(name) for name in some))


@needs_mosquitto
@pytest.mark.anyio
async def test_no_parameter_is_in_a_response_or_a_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_broker(tmp_path) as broker, serve(response('{"s3cret": 1}')) as server:
        await broker.publish("s3cret/a", '{"s3cret": 1}', retain=True)
        sources = declare(tmp_path, server.url, broker.port)
        caplog.clear()
        caplog.set_level(logging.DEBUG)
        async with (
            open_service(
                tmp_path / "solo.duckdb", utc_now, False, FAST_RETRY, **sources
            ) as service,
            create_client(service) as client,
        ):
            await run_all(service, list(sources))
            paths = ["/", "/openapi.json", "/docs", "/sources", "/tasks", "/batches"]
            for name in sources:
                batch = service.batch(name)
                assert bool(service.row_count(batch)) == name.endswith("-works"), name
                assert bool(batch.run.reason) == name.endswith("-fails"), name
                paths += [
                    f"/batches/{name}",
                    *(f"/batches/{name}/{part}" for part in ("runs", "log", "points", "minutes")),
                ]
            for path in paths:
                answer = await client.get(path)
                assert answer.status_code == 200
                assert SECRET not in answer.text, path
            answer = await client.post(
                "/stream/b", json={"source": "replay-works", "parameters": {"path": "x"}}
            )
            assert answer.status_code == 422
            assert SECRET not in answer.text
    # The client of the test itself and asyncio log at this level too, but no parameters.
    assert "failed" in caplog.text
    assert SECRET not in caplog.text


@needs_mosquitto
@pytest.mark.anyio
async def test_many_starts_and_stops_of_declared_sources_leak_no_resources(
    tmp_path: Path, rounds: int
) -> None:
    async def cycle(service: BatchService, name: str, number: int) -> None:
        await service.start(name, name)
        await asyncio.sleep(number % 7 / 100)
        await service.stop(name)

    async with run_broker(tmp_path) as broker, serve(response('{"s3cret": 1}')) as server:
        sources = declare(tmp_path, server.url, broker.port)
        names = list(sources)
        children = psutil.Process().children()
        async with open_service(
            tmp_path / "solo.duckdb", utc_now, False, FAST_RETRY, **sources
        ) as service:

            async def run(numbers: range) -> None:
                for number in numbers:
                    some = [names[(5 * number + n) % len(names)] for n in range(5)]
                    await asyncio.gather(*(cycle(service, name, number) for name in some))

            await create_executor_threads()
            await run(range(14))
            before = resources(service)
            await run(range(14, 4 * rounds))
            await expect_no_more(service, before)
            await wait_until(lambda: psutil.Process().children() == children)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes whose working directory is a folder."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        if process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.mark.parametrize("target", ["worker", "main process"])
def test_no_child_remains_after_the_app_is_killed(
    new_app: Callable[..., RunningApp], tmp_path: Path, target: str
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "solo.toml").write_text(KILLED)
    (sources / "stubborn.py").write_text(KILLED_MODULE)
    app = new_app(SOLO_CONFIG=str(sources / "solo.toml")).start()
    assert app.process
    for name in ("shell", "generator"):
        assert http.post(f"{app.api}/stream/{name}", json={"source": name}).status_code == 201
    wait_for(lambda: app.row_count() == 2)
    assert len(processes_in(sources)) >= 4
    os.kill(worker_pid(app) if target == "worker" else app.process.pid, signal.SIGKILL)
    wait_for(lambda: not processes_in(sources), timeout=15)
