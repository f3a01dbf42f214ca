"""The life of the app in its worker process: open the service, run the ticker, end cleanly."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import NoReturn

from solo_app.batches import sources
from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.live import Ticker
from solo_app.batches.service import BatchService
from solo_app.batches.store.database import Store
from solo_app.config import Settings
from solo_app.ui.console import Console, connect

Use = Callable[[BatchService | None], None]


@asynccontextmanager
async def running_service(settings: Settings, use: Use) -> AsyncIterator[BatchService]:
    """Open the service and give it to pages and API (through ``use``) as long as the app lives."""
    service = BatchService(
        Store(settings.database), {sources.DEFAULT_SOURCE: sources.random(settings.interval)}
    )
    try:
        await service.open(resume=settings.resume)
    except StoreUnavailableError as error:
        _give_up(error)
    ticker = Ticker(service)
    ticks = asyncio.create_task(ticker.run(), name="ticker")
    _end_streams_on_signals(service)
    use(service)
    connect(Console(service, ticker))
    try:
        yield service
    finally:
        connect(None)
        ticks.cancel()
        await service.close()
        use(None)


def _give_up(error: StoreUnavailableError) -> NoReturn:
    """End the app with one line: the database was taken away between the check and now."""
    sys.stderr.write(f"SOLO cannot start: {error}\n")
    sys.stderr.flush()
    os.kill(os.getppid(), signal.SIGTERM)  # The server would start another worker for ever.
    os._exit(1)


def _end_streams_on_signals(service: BatchService) -> None:
    """End every open stream as soon as the process is told to end.

    The server waits for open responses before it ends the app, and an event stream never ends
    by itself. Its own handling of the signals goes on afterwards.
    """
    loop = asyncio.get_running_loop()

    def around(previous: object) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(service.end_streams)
            if callable(previous):
                previous(number, frame)

        return handle

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, around(signal.getsignal(number)))
