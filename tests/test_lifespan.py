"""Opening and closing of the service with the server, and the end of the process on a signal."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.service import BatchService
from solo_app.config import Settings
from solo_app.lifespan import running_service
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def open_service(settings: Settings) -> AbstractAsyncContextManager[BatchService]:
    """Open the service of the app, without exiting the process after a signal."""
    return running_service(settings, responses_end_within=600)


@pytest.fixture(autouse=True)
def restore_process() -> Iterator[None]:
    """Restore the signal handlers and the limit that the lifespan changes."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    for number, handler in handlers.items():
        signal.signal(number, handler)


async def test_signal_ends_runs_and_still_reaches_the_server(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    loop = asyncio.get_running_loop()
    received: list[int] = []
    for number in SIGNALS:  # As Granian does, before the lifespan starts.
        loop.add_signal_handler(number, received.append, number)
    settings = Settings(SOLO_DATABASE=database, SOLO_INTERVAL=0.002)
    async with open_service(settings) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 10)
        os.kill(os.getpid(), signal.SIGTERM)
        await wait_until(lambda: not service.running())
        await wait_until(lambda: received == [signal.SIGTERM])
        assert len(await service.points("b", 0, 5)) == 5  # Open requests get their response.
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]


async def test_later_signals_do_not_reach_the_server(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    received: list[int] = []
    for number in (*SIGNALS, signal.SIGUSR2):
        loop.add_signal_handler(number, received.append, number)
    settings = Settings(SOLO_DATABASE=tmp_path / "solo.duckdb")
    async with open_service(settings):
        first_handler = signal.getsignal(signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        await wait_until(lambda: signal.getsignal(signal.SIGTERM) != first_handler)
        for number in (*SIGNALS, signal.SIGUSR2):
            os.kill(os.getpid(), number)
        await wait_until(lambda: signal.SIGUSR2 in received)
    loop.remove_signal_handler(signal.SIGUSR2)
    assert received == [signal.SIGINT, signal.SIGUSR2]


async def test_refused_file_limit_is_logged_and_not_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(resource, "getrlimit", lambda _: (1024, 65_536))
        patched.setattr(resource, "setrlimit", refuse)
        settings = Settings(SOLO_DATABASE=tmp_path / "solo.duckdb")
        async with open_service(settings) as service:
            assert service.totals().row_count == 0
    assert "Limit of open files stays at 1024: [Errno 1]" in caplog.text
