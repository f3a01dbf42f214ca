"""The access of the pages to the service."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from reflex_base.event.context import EventContext

from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import TICK, Snapshot, Ticker
from solo_app.ui.state.batch_table import BatchTable


@dataclass(frozen=True, slots=True)
class _Session:
    service: BatchService
    ticker: Ticker
    table: BatchTable


class Console:
    """The objects that all tabs share. Raises RuntimeError while the service is not open.

    ``tick`` is the time between two updates of a page in seconds.
    """

    def __init__(self, tick: float = TICK) -> None:
        self._tick = tick
        self._session: _Session | None = None

    def connect(self, service: BatchService | None) -> None:
        """Connect the pages to an open service, or disconnect them (None)."""
        self._session = (
            _Session(service, Ticker(service, self._tick), BatchTable(service)) if service else None
        )

    @property
    def service(self) -> BatchService:
        return self._connected().service

    @property
    def ticker(self) -> Ticker:
        return self._connected().ticker

    @property
    def table(self) -> BatchTable:
        return self._connected().table

    async def subscribe(self) -> AsyncGenerator[Snapshot]:
        """Yield the snapshots for one page until its tab closes or navigates to another page.

        Yields none if a client sends the event itself: Reflex cancels only the handlers that it
        started to load a page, so the loop would never end.
        """
        if EventContext.get().parent_txid is None:
            return
        async with aclosing(self.ticker.subscribe()) as snapshots:
            async for snapshot in snapshots:
                yield snapshot

    def _connected(self) -> _Session:
        if self._session is None:
            raise RuntimeError("The service is not open.")
        return self._session
