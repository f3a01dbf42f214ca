"""The newest points of a batch, told to one tab: first all that it shows, then what is new.

The tab keeps what it was told and joins to it what comes (``assets/solo/ticks.js``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import Batch, Point, to_microseconds
from solo_app.batches.service import BatchService

_EXACT = 2.0**53
"""Up to here a whole number is the same with and without its point."""


@dataclass(frozen=True, slots=True)
class News:
    """The points up to ``last_seq``: those that came since the last news, or all to show.

    ``whole`` is 0 when they go on where the last news ended; else what was told before is to be
    forgotten, and it is 1 or, where a repair left a gap among them, their ``seq``. ``times`` in
    microseconds, each but the first as the difference to the one before. ``lacks`` says why some
    that are to be shown are not told, when they cannot be read.
    """

    last_seq: int
    whole: int | list[int]
    times: list[int]
    keys: list[float]
    lacks: str = ""


async def newest(
    service: BatchService, batch: Batch, told: int | None, shown: int, lacks: str = ""
) -> News:
    """What there is to tell now to a tab that was told up to ``told``, None when it knows nothing.

    Never more than ``shown`` points at once: of a tab that is further behind all is forgotten.
    What the last news lacked is tried again.
    """
    newest_seq = service.last_seq(batch)
    first = max(0, newest_seq - shown)
    if told is None or not 0 <= newest_seq - told < shown:
        # The points of the run under way are in memory, whatever cannot be read.
        ways = [first, max(first, batch.run.first_seq - 1), newest_seq]
    else:
        ways = [first, told] if lacks else [told]
    after, points, lacks = await _first_readable(service, batch, ways, shown)
    times = [to_microseconds(point.ts) for point in points]
    last_seq = max(newest_seq, points[-1].seq) if points else newest_seq
    return News(
        last_seq=last_seq,
        whole=0 if after == told else _whole([point.seq for point in points], last_seq),
        times=differences(times),
        keys=[short(point.key) for point in points],
        lacks=lacks,
    )


async def _first_readable(
    service: BatchService, batch: Batch, ways: list[int], limit: int
) -> tuple[int, list[Point], str]:
    """The first of these ``seq`` after which points can be read, these, and why not more."""
    lacks = ""
    for after in ways[:-1]:
        try:
            points = await service.points(batch.batch_id, after, limit, with_backoff=True)
            return after, points, lacks
        except StoreUnavailableError as error:
            lacks = str(error)
    return ways[-1], await service.points(batch.batch_id, ways[-1], limit), lacks


def _whole(seqs: list[int], last_seq: int) -> int | list[int]:
    without_gap = seqs == list(range(last_seq - len(seqs) + 1, last_seq + 1))
    return 1 if without_gap else seqs


def differences(times: list[int]) -> list[int]:
    """The first time, and each other one as the difference to the one before."""
    return times[:1] + [late - early for early, late in pairwise(times)]


def short(number: float) -> float:
    """The same number, in as few characters as JSON can tell it."""
    return int(number) if abs(number) < _EXACT and number == int(number) else number
