"""The table ``points``: conversion to rows, and queries that include archived points."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from solo_app.batches.model import LAST_SEQ, STEP_US, Block, Point, Step, Vertex, from_microseconds
from solo_app.storage.duckdb.aggregates import Columns
from solo_app.storage.duckdb.archive import Archive

if TYPE_CHECKING:
    import duckdb

_STEPS = f"""
SELECT epoch_us(ts) // {STEP_US} AS step, count(*), max(seq), epoch_us(max(ts)), min(key), max(key),
    arg_min((seq, epoch_us(ts)), key), arg_max((seq, epoch_us(ts)), key)
FROM {{points}} WHERE batch_no = ? AND ts > ? AND seq < ?
GROUP BY step ORDER BY step
"""  # noqa: S608 (a constant)


def point_columns(blocks: Sequence[Block]) -> Columns:
    """Convert blocks to rows of the table ``points``."""
    numbers = np.array([block.batch_no for block in blocks], np.int32)
    return {
        "batch_no": np.repeat(numbers, [len(block.ts) for block in blocks]),
        "seq": np.concatenate([np.arange(b.first_seq, b.last_seq + 1) for b in blocks]),
        "ts": np.concatenate([block.ts for block in blocks]).view("datetime64[us]"),
        "key": np.concatenate([block.key for block in blocks]),
    }


def points(
    cursor: duckdb.DuckDBPyConnection, archive: Archive, batch_no: int, after: int, limit: int
) -> list[Point]:
    """Return at most ``limit`` points with ``seq > after``, in order of ``seq``."""
    # A query for the next ``limit`` numbers reads few archive files and is twice as fast. It finds
    # nothing in a gap of a database that an earlier release repaired.
    return _points(cursor, archive, batch_no, after, after + limit, limit) or _points(
        cursor, archive, batch_no, after, LAST_SEQ, limit
    )


def _points(
    cursor: duckdb.DuckDBPyConnection,
    archive: Archive,
    batch_no: int,
    after: int,
    up_to: int,
    limit: int,
) -> list[Point]:
    with archive.points(cursor, batch_no, after, up_to) as source:
        rows = cursor.execute(
            f"SELECT seq, epoch_us(ts), key FROM {source} "  # noqa: S608 (the archive's)
            "WHERE batch_no = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            [batch_no, after, up_to, limit],
        ).fetchall()
    return [Point(seq, from_microseconds(ts), key) for seq, ts, key in rows]


def steps(
    cursor: duckdb.DuckDBPyConnection,
    archive: Archive,
    batch_no: int,
    since: datetime,
    before_seq: int,
) -> list[Step]:
    """Return the steps of points with ``ts > since`` and ``seq < before_seq``, oldest first."""
    times = since, datetime.max
    with archive.points(cursor, batch_no, 0, before_seq - 1, times) as source:
        query = _STEPS.format(points=source)
        rows = cursor.execute(query, [batch_no, since, before_seq]).fetchall()
    return [_step(*row) for row in rows]


def _step(
    number: int,
    count: int,
    last_seq: int,
    last_ts: int,
    lowest: float,
    highest: float,
    low: tuple[int, int],
    high: tuple[int, int],
) -> Step:
    """Convert a row of ``_STEPS``. If all values are equal, the last point is the highest."""
    if lowest == highest:
        high = last_seq, last_ts
    return Step(number, count, last_seq, Vertex(lowest, *low), Vertex(highest, *high))
