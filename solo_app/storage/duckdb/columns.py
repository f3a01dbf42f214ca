"""Points and minutes as columns, the form in which they go to DuckDB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.model import Block, MinuteAggregate

Columns = dict[str, NDArray[np.generic]]


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
