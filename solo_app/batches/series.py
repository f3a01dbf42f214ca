"""The last minute of a batch as chart data, decimated without loss of extremes.

The chart contains the lowest and the highest point of each bucket of ``BUCKET_US`` (min-max
decimation). Its size is independent of the rate of the source, and it contains every point of a
slow source.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import (
    BUCKET_US,
    MINUTE_US,
    Block,
    Bucket,
    Extreme,
    from_microseconds,
    to_microseconds,
)
from solo_app.batches.storage import Storage

_BUCKETS = MINUTE_US // BUCKET_US


@dataclass(frozen=True, slots=True)
class Chart:
    """The vertices of the line of a minute, as columns of equal length.

    ``end`` is the end of the minute in microseconds since 1970 UTC, ``offsets`` are the times of
    the vertices in whole milliseconds relative to ``end``. A key of None breaks the line. Columns
    reduce each update to a third of the size that a list of objects would have.
    """

    end: int
    offsets: list[int]
    keys: list[float | None]


class Series:
    """The buckets of the last minute of a run and of earlier runs, and the last bucket before that
    minute."""

    def __init__(self, run_number: int) -> None:
        self._run_number = run_number
        self._buckets: list[Bucket] = []  # In order of time, then run.

    def add(self, block: Block) -> None:
        """Add committed points of the run."""
        buckets = list(split_into_buckets(block, self._run_number))
        for bucket in buckets:
            self._insert(bucket)
        self._evict(buckets[-1].number)

    def add_buckets(self, buckets: Iterable[Bucket]) -> None:
        """Add stored buckets of earlier points. Call this once."""
        for bucket in buckets:
            self._insert(bucket)

    def chart(self, until_us: int) -> Chart:
        """Return the line of the minute before ``until_us``, with a break between two runs.

        It begins with the last vertex before the minute, so that the line enters from the left.
        """
        start, last = until_us - MINUTE_US, until_us // BUCKET_US
        end_ms = until_us // 1000
        offsets: list[int] = []
        keys: list[float | None] = []
        run_number = 0
        for bucket in self._buckets:
            if bucket.number > last:  # The clock was set back.
                break
            points = bucket.points
            if keys and bucket.run_number != run_number:
                offsets.append(points[0].ts // 1000 - end_ms)
                keys.append(None)
            run_number = bucket.run_number
            for key, _, ts in points:
                if ts <= start:
                    offsets.clear()
                    keys.clear()
                offsets.append(ts // 1000 - end_ms)
                keys.append(key)
        return Chart(until_us, offsets, keys)

    def count(self, until_us: int) -> int:
        """Return the number of points in the minute before ``until_us``.

        It is exact unless the minute begins within a bucket of more than two points, whose number
        in the minute is interpolated.
        """
        start, last = until_us - MINUTE_US, until_us // BUCKET_US
        first = start // BUCKET_US
        return sum(
            bucket.count if bucket.number > first else _count_after(start, bucket)
            for bucket in self._buckets
            if first <= bucket.number <= last
        )

    def _insert(self, bucket: Bucket) -> None:
        i = bisect_left(self._buckets, _position(bucket), key=_position)
        existing = self._buckets[i] if i < len(self._buckets) else None
        if existing and _position(existing) == _position(bucket):
            self._buckets[i] = existing.merged_with(bucket)
        else:
            self._buckets.insert(i, bucket)

    def _evict(self, latest: int) -> None:
        """Remove buckets more than a minute before ``latest``, except the last of them.

        Also remove buckets more than a minute after it, which exist if the clock was set back.
        """
        buckets = self._buckets
        while len(buckets) > 1 and buckets[1].number < latest - _BUCKETS:
            del buckets[0]
        while buckets[-1].number > latest + _BUCKETS:
            del buckets[-1]


def _position(bucket: Bucket) -> tuple[int, int]:
    return bucket.number, bucket.run_number


def _count_after(start: int, bucket: Bucket) -> int:
    if bucket.count <= 2:
        return sum(point.ts > start for point in bucket.points)
    return round(bucket.count * (1 - start % BUCKET_US / BUCKET_US))


def split_into_buckets(block: Block, run_number: int) -> Iterator[Bucket]:
    """Yield the buckets of the points of one run, in order of ``seq``.

    If the clock was set back, the same bucket can be yielded more than once.
    """
    for start, end in pairwise([0, *_boundaries(block.ts), len(block.ts)]):
        key = block.key[start:end]
        # Choose the first of equal minima and the last of equal maxima, so that a bucket of two
        # points has both.
        low, high = start + int(key.argmin()), end - 1 - int(key[::-1].argmax())
        number = int(block.ts[start]) // BUCKET_US
        extremes = _extreme(block, low), _extreme(block, high)
        yield Bucket(number, run_number, end - start, *extremes)


def _boundaries(ts: NDArray[np.int64]) -> list[int]:
    """Return the indices at which a new bucket begins."""
    # A large block is usually in one bucket. This check is ten times faster than the search.
    if int(ts.min()) // BUCKET_US == int(ts.max()) // BUCKET_US:
        return []
    boundaries: list[int] = (np.flatnonzero(np.diff(ts // BUCKET_US)) + 1).tolist()
    return boundaries


def _extreme(block: Block, i: int) -> Extreme:
    return Extreme(float(block.key[i]), block.first_seq + i, int(block.ts[i]))


async def read_buckets(
    store: Storage, batch_no: int, before_seq: int, until_us: int
) -> list[Bucket]:
    """Read the buckets of a ``Series`` at ``until_us``, of the points with ``seq < before_seq``.

    Raises StoreUnavailableError if points of the minute cannot be read. If only earlier points
    cannot be read, the line begins in the minute.
    """
    since = _bucket_start(until_us - MINUTE_US)
    buckets = await store.buckets(batch_no, from_microseconds(since), before_seq)
    # The last point before the minute, by its ``seq``: a search by time would read all points.
    seq = before_seq - 1 - sum(bucket.count for bucket in buckets)
    if seq > 0:
        with suppress(StoreUnavailableError):
            for point in await store.points(batch_no, seq - 1, 1):
                start = _bucket_start(to_microseconds(point.ts))
                earlier = await store.buckets(batch_no, from_microseconds(start), point.seq + 1)
                buckets = [b for b in earlier if b.number * BUCKET_US < since] + buckets
    return buckets


def _bucket_start(us: int) -> int:
    return us - us % BUCKET_US
