"""Backoff for failing reads, for example of points in a missing archive file."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from solo_app.batches.errors import StoreUnavailableError

T = TypeVar("T")


class ReadBackoff:
    """Exponential backoff: ``first`` seconds, doubled after each failure up to ``longest``."""

    def __init__(
        self, first: float = 5.0, longest: float = 60.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._first = first
        self._longest = longest
        self._now = now
        self._failures: dict[Hashable, tuple[float, float, str]] = {}

    async def read(self, key: Hashable, query: Callable[[], Awaitable[T]]) -> T:
        """Run a query, or raise the last error of this ``key`` during its backoff.

        Raises StoreUnavailableError.
        """
        wait, retry_at, reason = self._failures.get(key, (self._first, 0.0, ""))
        if reason and self._now() < retry_at:
            raise StoreUnavailableError(reason)
        try:
            result = await query()
        except StoreUnavailableError as error:
            next_wait = min(2 * wait, self._longest)
            self._failures[key] = next_wait, self._now() + wait, str(error)
            raise
        self._failures.pop(key, None)
        return result
