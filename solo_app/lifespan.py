"""Opens the service on startup, and closes it within a time limit on shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NoReturn

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.config import Settings
from solo_app.main_process import report_failed_start
from solo_app.sources import create_sources
from solo_app.storage.duckdb.store import DuckDBStore
from solo_app.watchdog import watch_loop

logger = logging.getLogger(__name__)

RESPONSES_END_WITHIN = 0.5
"""Seconds after a signal for clients to read the rest of their responses."""

_PARENT_CHECK_INTERVAL = 0.5

_SHUTDOWN_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_OPEN_FILES = 65_536
"""Requested limit of open files. Each socket is an open file, and the default limit is 1024."""

_GC_THRESHOLDS = (50_000, 20, 100)
"""Thresholds of the garbage collector. With Python's defaults, a server with 1 000 open pages
spends a third of its CPU time on collections."""

Use = Callable[[BatchService | None], None]


@asynccontextmanager
async def running_service(
    settings: Settings, *uses: Use, responses_end_within: float = RESPONSES_END_WITHIN
) -> AsyncIterator[BatchService]:
    """Open the service, pass it to each of ``uses``, and close it on exit. They then get None."""
    _raise_file_limit()
    gc.set_threshold(*_GC_THRESHOLDS)
    store = DuckDBStore(settings.database)
    days = settings.retention_days
    retention = None if days is None else Retention(store, timedelta(days=days), utc_now)
    service = BatchService(store, create_sources(settings), retention=retention)
    try:
        await service.open(resume=settings.resume)
    except Exception as error:
        _exit_with_error(error, settings)
    tasks = [asyncio.create_task(_exit_with_parent(os.getppid()), name="exit-with-parent")]
    if retention:
        tasks.append(asyncio.create_task(retention.run(), name="retention"))
    shutdown = _ShutdownOnSignal(service, responses_end_within)
    for use in uses:
        use(service)
    try:
        with watch_loop():
            yield service
    finally:
        shutdown.cancel()
        for task in tasks:
            task.cancel()
        closed = await service.close()
        for use in uses:
            use(None)
        if not closed:
            os._exit(0)  # The interpreter would wait for running threads.


def _raise_file_limit() -> None:
    """Raise the limit of open files, so that a thousand idle sockets do not block new clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if resource.RLIM_INFINITY != soft < limit:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError) as error:
            logger.warning("Limit of open files stays at %d: %s", soft, error)


def _exit_with_error(error: Exception, settings: Settings) -> NoReturn:
    """Exit with one line. An exception would only stop the server, or restart it forever."""
    logger.debug("Service did not open", exc_info=error)
    message = str(error)
    if not isinstance(error, StoreUnavailableError):
        text = " ".join(f"{type(error).__name__}: {error}".split())
        message = (
            f"The database {settings.database} cannot be read ({text}). "
            "Restore a backup, or choose another file with SOLO_DATABASE."
        )
    sys.stderr.write(f"SOLO cannot start: {message}\n")
    sys.stderr.flush()
    report_failed_start()
    os._exit(1)


async def _exit_with_parent(parent: int) -> None:
    """Terminate this process when its parent has ended, because no other process does."""
    while os.getppid() == parent:  # noqa: ASYNC110 (there is no event to wait for)
        await asyncio.sleep(_PARENT_CHECK_INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)


class _ShutdownOnSignal:
    """Ends runs and event streams on SIGINT and SIGTERM, then exits the process.

    Granian handles the same signals in the event loop. It ends the lifespan only after every
    response has ended, but an event stream does not end by itself, and the response of a client
    that stops reading never ends. So the process exits without waiting for such clients.
    """

    def __init__(self, service: BatchService, responses_end_within: float) -> None:
        self._service = service
        self._responses_end_within = responses_end_within
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        for number in _SHUTDOWN_SIGNALS:
            signal.signal(number, self._handle)

    def cancel(self) -> None:
        """Cancel the shutdown, because the lifespan is ending."""
        if self._task:
            self._task.cancel()

    def _handle(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._shut_down(), name="shutdown")

    async def _shut_down(self) -> None:
        await self._ignore_later_signals()
        try:
            await self._service.end_runs()
            await asyncio.sleep(self._responses_end_within)
            await self._service.close()
        except Exception:
            logger.exception("Service did not close cleanly")
        os._exit(0)

    async def _ignore_later_signals(self) -> None:
        """Ignore a second Ctrl-C, and the signal that Granian's main process sends after the first.

        A third signal makes a Granian worker hang (2.8.9: ``WorkerSignal.set`` blocks the loop).
        """
        for _ in range(2):  # First let Granian's handler process the first signal.
            await asyncio.sleep(0)
        for number in _SHUTDOWN_SIGNALS:
            self._loop.add_signal_handler(number, int)
