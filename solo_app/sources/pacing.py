"""The interval between two numbers of a source."""

from __future__ import annotations

import asyncio


class Pacer:
    """Waits for due times at a fixed interval in seconds.

    A due time is relative to the previous one, so that delays do not accumulate. Due times that
    are missed, for example while the process is suspended, are skipped.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()

    async def wait(self) -> None:
        """Wait until the next due time."""
        now = self._loop.time()
        self._due = max(self._due + self._interval, now)
        await asyncio.sleep(self._due - now)
