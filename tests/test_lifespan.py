"""Told to end, the app has all committed and in the file before the server is told."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.store.check import log_of
from solo_app.config import Settings
from solo_app.lifespan import running_service
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
