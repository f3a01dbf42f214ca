"""The interval between two numbers of a source."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator


def delays(interval: float) -> Iterator[float]:
    """Yield how long to sleep before each number, in seconds: 0, then up to ``interval``.

    Delays do not accumulate. Times that are missed, for example while the process is suspended, are
    skipped. Call this in a coroutine.
    """
    clock = asyncio.get_running_loop().time
    due = now = clock()
    while True:
        yield due - now
        now = clock()
        due = max(due + interval, now)
