"""Live updates: at each tick, the state of each open page assigns the vars that changed."""

from __future__ import annotations

from typing import ClassVar

import reflex as rx

from solo_app.batches.models import to_microseconds
from solo_app.batches.snapshots import TICK, Snapshot
from solo_app.ui.console import Console
from solo_app.ui.state.values import Values


class LiveState(rx.State, mixin=True):
    """The status of the app on a live page.

    ``server_time`` is in whole seconds since 1970. It changes every second while the page is
    connected, so the browser can detect a lost connection and Reflex does not evict the state.
    ``update_interval`` is in seconds.

    ``console`` is a class variable, because Reflex creates states without arguments.
    """

    console: ClassVar[Console]

    server_time: int = 0
    update_interval: float = TICK
    write_error: str = ""
    archive_error: str = ""
    read_error: str = ""


def app_status(snapshot: Snapshot) -> Values:
    """Return the values of the vars of ``LiveState``, except ``read_error``."""
    return {
        "server_time": to_microseconds(snapshot.at) // 1_000_000,
        "update_interval": snapshot.interval,
        "write_error": snapshot.totals.write_error or "",
        "archive_error": snapshot.totals.archive_error or "",
    }
