"""Told to end, the app has all committed and in the file before the server is told."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from solo_app.config import Settings
from solo_app.lifespan import running_service
from solo_app.storage.duckdb.check import log_of
from tests.running_app import PROJECT
from tests.workbench import until

pytestmark = pytest.mark.anyio

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Give back what an app sets for the whole process."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("by_loop", [True, False])
async def test_the_server_is_told_of_a_signal_when_all_is_in_the_file_and_once(
    tmp_path: Path, by_loop: bool
) -> None:
    database = tmp_path / "solo.duckdb"
    told: list[tuple[int, bool, int]] = []
    everything = asyncio.Event()

    def server(number: int, _: object) -> None:
        told.append((number, log_of(database).exists(), len(service.running())))
        everything.set()

    for number in SIGNALS:
        if by_loop:  # As Granian does, so that asyncio calls it.
            asyncio.get_running_loop().add_signal_handler(number, server, number, None)
        else:
            signal.signal(number, server)
    settings = Settings(SOLO_DATABASE=database, SOLO_INTERVAL=0.002)
    async with running_service(settings, lambda _: None) as service:
        await service.start("b")
        await until(lambda: service.totals().row_count > 10)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        await asyncio.wait_for(everything.wait(), 5)
        # Who asks meanwhile is still answered.
        assert len(await service.points("b", 0, 5)) == 5
    assert told == [(signal.SIGINT, False, 0)]
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]


_FIRST_STREAM = """
import asyncio, sys
from pathlib import Path
from solo_app.api.app import build_api
from solo_app.config import Settings
from solo_app.lifespan import running_service

async def first_stream():
    api = build_api()
    settings = Settings(SOLO_DATABASE=Path(sys.argv[1]), SOLO_INTERVAL=0.01)
    use = lambda service: setattr(api.state, "service", service)
    sent = asyncio.Queue()
    silence = asyncio.Event()
    async with running_service(settings, use) as service:
        await service.start("b")
        before = set(sys.modules)
        scope = {"type": "http", "method": "GET", "path": "/stream/b", "raw_path": b"/stream/b",
                 "query_string": b"", "headers": [], "root_path": "", "scheme": "http"}
        answer = asyncio.create_task(api(scope, silence.wait, sent.put))
        body = b""
        while b"data: " not in body:
            body += (await asyncio.wait_for(sent.get(), 10)).get("body", b"")
        print(sorted(set(sys.modules) - before))
        answer.cancel()

asyncio.run(first_stream())
"""


def test_the_first_stream_holds_nobody_up_to_load_something(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _FIRST_STREAM, tmp_path / "solo.duckdb"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stdout == "[]\n", told.stderr
