"""The newest points of a batch, told to one tab: first all that it shows, then what is new.

The tab keeps what it was told and joins to it what comes (``assets/solo/ticks.js``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from solo_app.batches.live import Snapshot
from solo_app.batches.model import Batch, to_microseconds
from solo_app.batches.service import BatchService

_EXACT = 2.0**53
"""Up to here a whole number is the same with and without its point."""


@dataclass(frozen=True, slots=True)
class News:
    """The points up to ``last_seq``: those that came since the last news, or all to show.

    ``whole`` is 1 when what was told before is to be forgotten, else 0. ``times`` in
    microseconds, each but the first as the difference to the one before.
    """

    last_seq: int
    whole: int
    times: list[int]
    keys: list[float]


class Newest:
    """Makes the news of one batch for one tab, never more than ``shown`` points at once."""

    def __init__(self, service: BatchService, shown: int) -> None:
        self._service = service
        self._shown = shown
        self._told: int | None = None

    def start_over(self) -> None:
        """Tell all there is to show again: the tab has missed something."""
        self._told = None

    async def news(self, snapshot: Snapshot, batch: Batch) -> News:
        """What there is to tell now; worked out once for all who were told as much."""
        rows = self._service.row_count(batch)
        goes_on = self._told is not None and 0 <= rows - self._told < self._shown
        asked = (batch.no, self._shown, self._told if goes_on else None)
        news = snapshot.shared.get(asked)
        if news is None:
            after = self._told if goes_on else max(0, rows - self._shown)
            news = await self._since(batch, after or 0, whole=0 if goes_on else 1)
            snapshot.shared[asked] = news
        self._told = news.last_seq
        return news

    async def _since(self, batch: Batch, after: int, whole: int) -> News:
        points = await self._service.points(batch.batch_id, after, self._shown)
        times = [to_microseconds(point.ts) for point in points]
        return News(
            last_seq=points[-1].seq if points else after,
            whole=whole,
            times=differences(times),
            keys=[short(point.key) for point in points],
        )


def differences(times: list[int]) -> list[int]:
    """The first time, and each other one as the difference to the one before."""
    return times[:1] + [late - early for early, late in pairwise(times)]


def short(number: float) -> float:
    """The same number, in as few characters as JSON can tell it."""
    return int(number) if abs(number) < _EXACT and number == int(number) else number
