"""Access to the service for the states, which Reflex instantiates without arguments."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from reflex_base.event.context import EventContext

from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import Snapshot, Ticker
from solo_app.ui.state.home_view import BatchTable


@dataclass(frozen=True, slots=True)
class Console:
    """The objects that the states use; one per process."""

    service: BatchService
    ticker: Ticker
    table: BatchTable


_console: Console | None = None


def connect(service: BatchService, ticker: Ticker) -> None:
    """Connect the states to the service on startup."""
    global _console
    _console = Console(service, ticker, BatchTable(service))


def disconnect() -> None:
    """Disconnect the states from the service on shutdown."""
    global _console
    _console = None


def console() -> Console:
    """Return the objects that the states use. Raises RuntimeError if the app is not running."""
    if _console is None:
        raise RuntimeError("The app is not running.")
    return _console


async def subscribe() -> AsyncGenerator[Snapshot]:
    """Yield the snapshots for one page until its tab closes or navigates to another page.

    Yields none if a client sends the event itself: Reflex cancels only the handlers that it
    started to load a page, so the loop would never end.
    """
    if EventContext.get().parent_txid is None:
        return
    async with aclosing(console().ticker.subscribe()) as snapshots:
        async for snapshot in snapshots:
            yield snapshot
