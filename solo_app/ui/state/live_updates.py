"""Live updates: at each tick, the state of each open page assigns the vars that changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx

from solo_app.batches.models import to_microseconds
from solo_app.batches.snapshots import TICK, Snapshot

Values = Mapping[str, Any]
"""Values of the vars of a state, by name."""


class LiveState(rx.State, mixin=True):
    """The status of the app on a live page.

    ``server_time`` is in whole seconds since 1970. It changes every second while the page is
    connected, so the browser can detect a lost connection and Reflex does not evict the state.
    ``update_interval`` is in seconds.
    """

    server_time: int = 0
    update_interval: float = TICK
    write_error: str = ""
    archive_error: str = ""
    read_error: str = ""


def assign(state: rx.State, values: Values) -> None:
    """Assign vars of a state by name."""
    for name, value in values.items():
        setattr(state, name, value)


def assign_changed(state: rx.State, values: Values, shown: Values) -> None:
    """Assign the values that differ from those shown, because Reflex sends every assigned var."""
    assign(state, {n: v for n, v in values.items() if n not in shown or shown[n] != v})


def app_status(snapshot: Snapshot) -> Values:
    """Return the values of the vars of ``LiveState``, except ``read_error``."""
    return {
        "server_time": to_microseconds(snapshot.at) // 1_000_000,
        "update_interval": snapshot.interval,
        "write_error": snapshot.totals.write_error or "",
        "archive_error": snapshot.totals.archive_error or "",
    }
