"""Where the states find the service: the one of this process, while the app runs."""

from __future__ import annotations

from dataclasses import dataclass

from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import Ticker


@dataclass(frozen=True, slots=True)
class Console:
    """What the states work with."""

    service: BatchService
    ticker: Ticker


_connected: Console | None = None


def connect(console: Console | None) -> None:
    """Give the states what they work with; None when the app ends."""
    global _connected
    _connected = console


def is_connected() -> bool:
    """Whether the app runs, and is not about to end."""
    return _connected is not None and not _connected.service.closing


def console() -> Console:
    """What the states work with. Raises RuntimeError outside the app's lifespan."""
    if _connected is None:
        raise RuntimeError("the app is not running")
    return _connected
