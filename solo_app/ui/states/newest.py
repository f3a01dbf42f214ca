"""The newest points of a batch, told to one tab: first all that it shows, then what is new.

The tab keeps what it was told and joins to it what comes (``assets/solo/ticks.js``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

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


async def newest(service: BatchService, batch: Batch, told: int | None, shown: int) -> News:
    """What there is to tell now to a tab that was told up to ``told``, None when it knows nothing.

    Never more than ``shown`` points at once: of a tab that is further behind all is forgotten.
    """
    rows = service.row_count(batch)
    goes_on = told is not None and 0 <= rows - told < shown
    after = told if told is not None and goes_on else max(0, rows - shown)
    points = await service.points(batch.batch_id, after, shown)
    times = [to_microseconds(point.ts) for point in points]
    return News(
        last_seq=points[-1].seq if points else after,
        whole=0 if goes_on else 1,
        times=differences(times),
        keys=[short(point.key) for point in points],
    )


def differences(times: list[int]) -> list[int]:
    """The first time, and each other one as the difference to the one before."""
    return times[:1] + [late - early for early, late in pairwise(times)]


def short(number: float) -> float:
    """The same number, in as few characters as JSON can tell it."""
    return int(number) if abs(number) < _EXACT and number == int(number) else number
