"""The life of the app in its worker process: open the service, end cleanly."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NoReturn

import anyio

from solo_app.batches import sources
from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.live import Ticker
from solo_app.batches.model import utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.config import Settings
from solo_app.preflight import REFUSED
from solo_app.storage.duckdb.store import DuckDBStore
from solo_app.ui.console import Console, connect
from solo_app.watchdog import watched_loop

_LET_GO_WITHIN = 0.5
"""Seconds that readers have to take the end of their answers once the process is told to end."""

_LOOK_FOR_PARENT_EVERY = 0.5

_FILES = 65_536
"""What may be open at once where the system allows it: every socket is a file."""

_COLLECT_AFTER = (20_000, 50, 50)
"""New objects before the youngest are looked through, and how many times before the older."""

Use = Callable[[BatchService | None], None]


@asynccontextmanager
async def running_service(settings: Settings, use: Use) -> AsyncIterator[BatchService]:
    """Open the service and give it to pages and API (through ``use``) as long as the app lives."""
    await _load_the_rest()
    _spare_what_stays()
    _admit_many()
    store = DuckDBStore(settings.database)
    days = settings.retention_days
    retention = None if days is None else Retention(store, timedelta(days=days), utc_now)
    service = BatchService(
        store,
        {sources.DEFAULT_SOURCE: sources.random(settings.interval)},
        retention=retention,
    )
    try:
        await service.open(resume=settings.resume)
    except StoreUnavailableError as error:
        _give_up(error)
    helpers = [asyncio.create_task(_end_with(os.getppid()), name="orphanhood")]
    if retention:
        helpers.append(asyncio.create_task(retention.run(), name="retention"))
    signals = _EndOnSignals(service)
    use(service)
    connect(Console(service, Ticker(service)))
    try:
        with watched_loop():
            yield service
    finally:
        signals.forget()
        connect(None)
        for helper in helpers:
            helper.cancel()
        closed = await service.close()
        use(None)
        if store.has_active_readers or not closed:
            os._exit(0)  # The interpreter would wait for the thread of it.


async def _load_the_rest() -> None:
    """Load what anyio, which sends the event streams, puts off until it is first used.

    The first stream would hold up everyone for it, and all who come at once wait in one line.
    """
    async with anyio.create_task_group():
        pass


def _spare_what_stays() -> None:
    """Have the garbage collector seldom run, and never go through what is there now.

    Nearly everything is freed without it. What is loaded by now stays as long as the process
    (145 000 objects), and each open page adds three hundred: whenever many come, or just stay,
    looking through all of them would stop everyone for half a second. DuckDB, loaded when the
    store opens, is left out: at the end it would tell of objects as leaked.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _admit_many() -> None:
    """Have as many files open as the system allows those who ask, instead of the usual 1024.

    A thousand sockets that say nothing would otherwise keep everyone else out.
    """
    most, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if allowed == resource.RLIM_INFINITY else min(_FILES, allowed)
    if resource.RLIM_INFINITY != most < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))


def _give_up(error: StoreUnavailableError) -> NoReturn:
    """End the app with one line: the database was taken away between the check and now."""
    sys.stderr.write(f"SOLO cannot start: {error}\n")
    sys.stderr.flush()
    # The server would start another worker for ever, or end as if all were well.
    os.kill(os.getppid(), REFUSED)
    os._exit(1)


async def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: nobody else would."""
    while os.getppid() == parent:  # noqa: ASYNC110 (no event tells of it)
        await asyncio.sleep(_LOOK_FOR_PARENT_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


class _EndOnSignals:
    """Ends the runs and every open answer as soon as the process is told to end, and soon it too.

    Only then is the server told. It waits for open answers before it ends the app, and an event
    stream never ends by itself. And it has been seen to break down at its end (granian 2.8.7, its
    issue 884: "Cannot drop pointer into Python heap"): by then all is committed and in the file.
    A reader that takes nothing holds the end of its answer back for ever; it is left behind.
    """

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._ending: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            tell_server = _handler_of(self._loop, number)
            self._loop.add_signal_handler(number, self._end, tell_server)

    def forget(self) -> None:
        """The app ends as it should: nobody is waited for any more."""
        if self._deadline:
            self._deadline.cancel()

    def _end(self, tell_server: Callable[[], None]) -> None:
        # Ctrl-C tells the whole group, and the server its worker; who presses it twice, all again.
        # A server that is told twice at once may wait for itself for ever (its issue 875).
        if self._ending is None:
            self._ending = asyncio.create_task(self._end_in_order(tell_server), name="end")

    async def _end_in_order(self, tell_server: Callable[[], None]) -> None:
        try:
            await self._service.end_runs()
        finally:
            self._deadline = self._loop.call_later(_LET_GO_WITHIN, self._leave)
            tell_server()

    def _leave(self) -> None:
        self._leaving = asyncio.create_task(self._leave_readers_behind(), name="leave")

    async def _leave_readers_behind(self) -> None:
        try:
            await self._service.close()
        finally:
            os._exit(0)


def _handler_of(loop: asyncio.AbstractEventLoop, number: signal.Signals) -> Callable[[], None]:
    """Does what the server has a signal do so far: by way of the loop, or of Python alone."""
    by_loop = getattr(loop, "_signal_handlers", {})  # There is no public way to ask for it.
    if number in by_loop:
        run: Callable[[], None] = by_loop[number]._run
        return run
    handler = signal.getsignal(number)
    return lambda: handler(number, None) if callable(handler) else None
