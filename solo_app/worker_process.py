"""Limits and signal handling of the worker process, which serves pages and API.

``main_process`` handles the signals of its parent, which `reflex run` starts.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from solo_app.batches.service import BatchService

logger = logging.getLogger(__name__)

RESPONSES_END_WITHIN = 0.5
"""Seconds after a signal for clients to read the rest of their responses."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_OPEN_FILES = 65_536
"""Requested limit of open files. Each socket is an open file, and the default limit is 1024."""

_GC_THRESHOLDS = (50_000, 20, 100)
"""With Python's defaults, a server with 1,000 open pages spends a third of its CPU time on garbage
collection."""

_THREADS = 64
"""Threads for blocking calls of the event loop. The lookup of a host name occupies one for up to
30 s if the name server does not respond, even if the source has timed out. Python's default is 6 on
two cores."""


def raise_limits() -> None:
    """Raise the limits for a thousand clients and five sources: GC thresholds, open files, and
    threads of the running event loop."""
    gc.set_threshold(*_GC_THRESHOLDS)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="event-loop")
    asyncio.get_running_loop().set_default_executor(threads)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if resource.RLIM_INFINITY != soft < limit:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError) as error:
            logger.warning("Limit of open files stays at %d: %s", soft, error)


def end_on_sigterm() -> None:
    """Let SIGTERM end this process while the service opens: Granian's handler has no effect before
    the server is running."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


@contextmanager
def shutdown_on_signal(
    service: BatchService, responses_end_within: float = RESPONSES_END_WITHIN
) -> Iterator[None]:
    """On SIGINT or SIGTERM, end runs and event streams, close the service, then exit the process.

    This replaces the signal handlers of Granian. They end the lifespan only after every response
    has ended, but an event stream does not end by itself, and the response of a client that stops
    reading never ends. They also stop the threads of Granian before the lifespan ends. With
    open WebSockets, such a thread sometimes crashes the process before the database is closed
    (2.8.9: "Cannot drop pointer into Python heap").
    """
    loop = asyncio.get_running_loop()
    task: asyncio.Task[None] | None = None

    def start() -> None:
        nonlocal task
        if task is None:
            task = asyncio.create_task(_shut_down(service, responses_end_within), name="shutdown")

    for number in _SIGNALS:
        loop.add_signal_handler(number, start)
    try:
        yield
    finally:
        if task:
            task.cancel()


async def _shut_down(service: BatchService, responses_end_within: float) -> None:
    try:
        await asyncio.gather(service.end_runs(), asyncio.sleep(responses_end_within))
        await service.close()
    except Exception:
        logger.exception("Service did not close cleanly")
    os._exit(0)
