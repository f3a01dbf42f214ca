"""Gives the states access to the service. Reflex creates states itself, without arguments."""

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
    """What the states use. One per process."""

    service: BatchService
    ticker: Ticker
    table: BatchTable


_console: Console | None = None


def connect(service: BatchService, ticker: Ticker) -> None:
    """Connect the states to the service, when the app starts."""
    global _console
    _console = Console(service, ticker, BatchTable(service))


def disconnect() -> None:
    """Disconnect the states from the service, when the app ends."""
    global _console
    _console = None


def console() -> Console:
    """Return what the states use. Raises RuntimeError while the app is not running."""
    if _console is None:
        raise RuntimeError("the app is not running")
    return _console


async def subscribe() -> AsyncGenerator[Snapshot]:
    """Yield the snapshots for one page, until its tab leaves it.

    Yields none to a client that calls the event handler itself. Reflex cancels only handlers that
    it started when it loaded the page, so the loop would never end.
    """
    if EventContext.get().parent_txid is None:
        return
    async with aclosing(console().ticker.subscribe()) as snapshots:
        async for snapshot in snapshots:
            yield snapshot
