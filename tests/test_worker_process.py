"""Limits of the worker process, and its shutdown on a signal."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest

from solo_app.worker_process import raise_limits, shutdown_on_signal
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio

SIGNALS = (signal.SIGINT, signal.SIGTERM)

NEVER = 600.0
"""Seconds after which the process exits: longer than any test."""


@pytest.fixture
async def received() -> AsyncIterator[list[int]]:
    """Handle signals as Granian does, before the lifespan starts. Returns the received ones."""
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    received: list[int] = []
    for number in (*SIGNALS, signal.SIGUSR2):
        loop.add_signal_handler(number, received.append, number)
    yield received
    loop.remove_signal_handler(signal.SIGUSR2)
    for number, handler in handlers.items():
        signal.signal(number, handler)


async def test_open_requests_are_answered_after_a_signal_ends_runs(
    tmp_path: Path, received: list[int]
) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database) as service:
        with shutdown_on_signal(service, responses_end_within=NEVER):
            await service.start("b")
            await wait_until(lambda: service.totals().row_count > 10)
            os.kill(os.getpid(), signal.SIGTERM)
            await wait_until(lambda: not service.running())
            assert len(await service.points("b", 0, 5)) == 5  # Open requests get their response.
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]


async def test_signals_do_not_reach_the_server(tmp_path: Path, received: list[int]) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        with shutdown_on_signal(service, responses_end_within=NEVER):
            for number in (*SIGNALS, *SIGNALS, signal.SIGUSR2):
                os.kill(os.getpid(), number)
            await wait_until(lambda: signal.SIGUSR2 in received)
    assert received == [signal.SIGUSR2]


async def test_refused_file_limit_is_logged_and_not_fatal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(resource, "getrlimit", lambda _: (1024, 65_536))
        patched.setattr(resource, "setrlimit", refuse)
        raise_limits()
    assert "Limit of open files stays at 1024: [Errno 1]" in caplog.text


async def test_hanging_lookups_of_host_names_do_not_delay_others() -> None:
    raise_limits()
    is_released = threading.Event()
    hanging = [asyncio.create_task(asyncio.to_thread(is_released.wait)) for _ in range(40)]
    try:
        async with asyncio.timeout(30):
            await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    finally:
        is_released.set()
    await asyncio.gather(*hanging)
