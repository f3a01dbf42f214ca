"""Opening and closing of the service with the server."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from solo_app.config import Settings
from solo_app.lifespan import running_service
from solo_app.sources import create_sources
from tests.helpers.running_app import PROJECT
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def restore_process() -> Iterator[None]:
    """Restore the signal handlers and the limit that the lifespan changes."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    for number, handler in handlers.items():
        signal.signal(number, handler)


async def test_end_of_the_lifespan_interrupts_batches_and_closes_the_database(
    tmp_path: Path,
) -> None:
    database = tmp_path / "solo.duckdb"
    settings = Settings(SOLO_DATABASE=database, SOLO_INTERVAL=0.002)
    async with running_service(settings, create_sources(settings)) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 10)
    with duckdb.connect(database) as connection:
        runs = connection.execute("SELECT status, last_seq FROM runs").fetchall()
        points = connection.execute("SELECT count(*) FROM points").fetchone()
    assert points
    assert runs == [("interrupted", points[0])]


OPENING = """
import asyncio, signal
from solo_app.config import Settings
from solo_app.lifespan import BatchService, running_service

async def open(*_, **options):
    print("opening", flush=True)
    await asyncio.sleep(60)

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)  # Like Granian.
    BatchService.open = open
    async with running_service(Settings(), {}):
        pass

asyncio.run(main())
"""
"""A program in which the service never opens."""


@pytest.mark.parametrize(
    "prefix",
    ["", "import os, signal\nif os.fork(): signal.pause()"],
    ids=["signal", "end of the parent"],
)
def test_process_can_be_ended_while_the_service_opens(tmp_path: Path, prefix: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", prefix + OPENING],
        cwd=PROJECT,
        env={**os.environ, "SOLO_DATABASE": str(tmp_path / "solo.duckdb")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "opening\n"
    process.terminate()
    process.communicate(timeout=20)  # Standard output is open until all processes have ended.
