"""The rate of committed points."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_RATE_SECONDS = 5


class RateMeter:
    """Counts points per whole second of the monotonic clock, for ``history_seconds``."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, history_seconds: int = _RATE_SECONDS
    ) -> None:
        self._now = now
        self._started = now()
        self._history_seconds = history_seconds
        self._counts: deque[tuple[int, int]] = deque(maxlen=history_seconds + 1)

    def add(self, count: int) -> None:
        """Add a number of points committed now."""
        second = int(self._now())
        if self._counts and self._counts[-1][0] == second:
            count += self._counts.pop()[1]
        self._counts.append((second, count))

    @property
    def per_second(self) -> float:
        """The mean over up to five whole seconds, without the current second."""
        now = self._now()
        end = int(now)
        start = max(end - _RATE_SECONDS, int(self._started) + 1)
        if end <= start:
            elapsed = now - self._started
            return sum(n for _, n in self._counts) / elapsed if elapsed > 0.2 else 0.0
        return sum(n for second, n in self._counts if start <= second < end) / (end - start)

    @property
    def history(self) -> list[int]:
        """The number of points in each of the last whole seconds, newest last."""
        counts = dict(self._counts)
        end = int(self._now())
        return [counts.get(second, 0) for second in range(end - self._history_seconds, end)]
