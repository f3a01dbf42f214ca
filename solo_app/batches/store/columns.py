"""Points and minutes as columns, the form in which they go to DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.model import MinuteAggregate, Point, from_microseconds

Columns = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive points of one batch as columns of equal length.

    ``ts`` in microseconds since 1970 UTC; the first point has ``seq`` ``first_seq``.
    """

    batch_no: int
    first_seq: int
    ts: NDArray[np.int64]
    key: NDArray[np.float64]

    @property
    def last_seq(self) -> int:
        """The ``seq`` of the last point."""
        return self.first_seq + len(self.ts) - 1

    def points(self, after: int = 0) -> Iterator[Point]:
        """The points with ``seq > after``, in order."""
        skip = max(0, after + 1 - self.first_seq)
        columns = zip(self.ts[skip:].tolist(), self.key[skip:].tolist(), strict=True)
        for seq, (ts, key) in enumerate(columns, self.first_seq + skip):
            yield Point(seq, from_microseconds(ts), key)


def columns_of_points(blocks: Sequence[Block]) -> Columns:
    """The rows of the table ``points`` for these blocks."""
    numbers = np.array([block.batch_no for block in blocks], np.int32)
    return {
        "batch_no": np.repeat(numbers, [len(block.ts) for block in blocks]),
        "seq": np.concatenate([np.arange(b.first_seq, b.last_seq + 1) for b in blocks]),
        "ts": np.concatenate([block.ts for block in blocks]).view("datetime64[us]"),
        "key": np.concatenate([block.key for block in blocks]),
    }


def columns_of_minutes(
    minutes: dict[int, list[MinuteAggregate]],
) -> Columns:
    """The rows of the table ``minutes`` for these aggregates by batch number."""
    rows = [(batch_no, m) for batch_no, parts in minutes.items() for m in parts]
    return {
        "batch_no": np.array([batch_no for batch_no, _ in rows], np.int32),
        "minute": np.array([m.minute for _, m in rows], "datetime64[us]"),
        "count": np.array([m.count for _, m in rows], np.int64),
        "sum": np.array([m.sum for _, m in rows]),
        "min": np.array([m.min for _, m in rows]),
        "max": np.array([m.max for _, m in rows]),
    }
