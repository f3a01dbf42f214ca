"""The table ``points``: conversion to rows, and queries that include archived points."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import numpy as np

from solo_app.batches.models import (
    BUCKET_US,
    MAX_SEQ,
    Block,
    Bucket,
    Extreme,
    Point,
    from_microseconds,
)
from solo_app.storage.duckdb.archive import Archive
from solo_app.storage.duckdb.minutes import Columns

_BUCKETS = f"""
SELECT epoch_us(ts) // {BUCKET_US} AS bucket, number, count(*),
    min(key), min(seq), epoch_us(min(ts)), max(key), max(seq), epoch_us(max(ts)),
    arg_min((seq, epoch_us(ts)), key), arg_max((seq, epoch_us(ts)), key)
FROM {{points}} JOIN runs USING (batch_no)
WHERE batch_no = $batch_no AND ts >= $since AND seq < $before_seq
    AND seq >= first_seq AND seq <= coalesce(last_seq, seq) AND coalesce(ended_at, ts) >= $since
GROUP BY bucket, number ORDER BY bucket, number
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
    """See ``Storage.points``."""
    # A query of the next ``limit`` numbers reads few archive files and is twice as fast. Its result
    # is empty in a gap, which a database that an earlier version repaired can have.
    for up_to in (after + limit, MAX_SEQ):
        with archive.points(cursor, batch_no, after, up_to) as table:
            rows = cursor.execute(
                f"SELECT seq, epoch_us(ts), key FROM {table} "  # noqa: S608 (no values)
                "WHERE batch_no = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                [batch_no, after, up_to, limit],
            ).fetchall()
        if rows:
            break
    return [Point(seq, from_microseconds(ts), key) for seq, ts, key in rows]


def buckets(
    cursor: duckdb.DuckDBPyConnection,
    archive: Archive,
    batch_no: int,
    since: datetime,
    before_seq: int,
) -> list[Bucket]:
    """See ``Storage.buckets``."""
    values = {"batch_no": batch_no, "since": since, "before_seq": before_seq}
    times = since, datetime.max
    with archive.points(cursor, batch_no, 0, before_seq - 1, times) as table:
        rows = cursor.execute(_BUCKETS.format(points=table), values).fetchall()
    return [_bucket(*row) for row in rows]


def _bucket(
    number: int,
    run_number: int,
    count: int,
    lowest: float,
    first_seq: int,
    first_ts: int,
    highest: float,
    last_seq: int,
    last_ts: int,
    low: tuple[int, int],
    high: tuple[int, int],
) -> Bucket:
    """Convert a row of ``_BUCKETS``. DuckDB returns any one of equal extremes."""
    if lowest == highest:  # Keep both points of a bucket of two.
        low, high = (first_seq, first_ts), (last_seq, last_ts)
    return Bucket(number, run_number, count, Extreme(lowest, *low), Extreme(highest, *high))
