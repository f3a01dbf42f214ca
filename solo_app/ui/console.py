"""The access of the pages to the service."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from reflex_base.event.context import EventContext

from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import TICK, Snapshot, Ticker
from solo_app.ui.state.batch_table import BatchTable


class Console:
    """The objects that all tabs share, available once ``connect`` has been called.

    ``tick`` is the time between two updates of a page in seconds.
    """

    service: BatchService
    ticker: Ticker
    table: BatchTable

    def __init__(self, tick: float = TICK) -> None:
        self._tick = tick

    def connect(self, service: BatchService) -> None:
        """Connect the pages to an open service."""
        self.service = service
        self.ticker = Ticker(service, self._tick)
        self.table = BatchTable(service)

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
