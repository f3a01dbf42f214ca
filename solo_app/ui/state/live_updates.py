"""Live updates: at every tick, each open page assigns the vars that changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import reflex as rx
from reflex_base.event.context import EventContext

from solo_app.batches.model import to_microseconds
from solo_app.batches.snapshots import TICK, Snapshot
from solo_app.ui.console import console


class LiveState(rx.State, mixin=True):
    """What every live page shows about the app.

    ``server_time`` is in whole seconds since 1970. It changes every second while the page is
    connected: by it the browser detects a lost connection, and Reflex never evicts the state.
    ``update_interval`` is in seconds.
    """

    server_time: int = 0
    update_interval: float = TICK
    write_error: str = ""
    archive_error: str = ""
    read_error: str = ""

    def _assign(self, values: Mapping[str, Any]) -> None:
        """Assign the vars that changed. Reflex sends every assigned var, even an equal one."""
        for name, value in values.items():
            if self.get_value(name) != value:
                setattr(self, name, value)


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


def app_status(snapshot: Snapshot) -> dict[str, Any]:
    """Return the values of the vars of ``LiveState``, except ``read_error``."""
    return {
        "server_time": to_microseconds(snapshot.at) // 1_000_000,
        "update_interval": snapshot.interval,
        "write_error": snapshot.totals.write_error or "",
        "archive_error": snapshot.totals.archive_error or "",
    }
