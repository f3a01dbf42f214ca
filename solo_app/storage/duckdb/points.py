"""What is read from the database; each question on a cursor of its own."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from solo_app.batches.model import (
    STEP_US,
    MinuteAggregate,
    Point,
    Step,
    Vertex,
    Window,
    from_microseconds,
)
from solo_app.storage.duckdb.archive import Archive
from solo_app.storage.duckdb.counted import counted

if TYPE_CHECKING:
    import duckdb

_LAST_SEQ = 2**63 - 1

_STEPS = f"""
SELECT epoch_us(ts) // {STEP_US} AS step, count(*), max(seq), epoch_us(max(ts)), min(key), max(key),
    arg_min((seq, epoch_us(ts)), key), arg_max((seq, epoch_us(ts)), key)
FROM {{points}} WHERE batch_no = ? AND ts > ? AND seq < ?
GROUP BY step ORDER BY step
"""  # noqa: S608 (a constant)


def points(
    cursor: duckdb.DuckDBPyConnection, archive: Archive, batch_no: int, after: int, limit: int
) -> list[Point]:
    """At most ``limit`` points with ``seq > after``, in order; none only when there are none."""
    if found := _points(cursor, archive, batch_no, after, after + limit):
        return found
    # Where a repair could not read points, those that follow begin behind a gap.
    cursor.execute("ROLLBACK")
    with archive.points(cursor, batch_no, after, _LAST_SEQ) as held:
        ((first,),) = cursor.execute(
            f"SELECT min(seq) FROM {held} WHERE batch_no = ? AND seq > ?",  # noqa: S608 (the archive's)
            [batch_no, after],
        ).fetchall()
    cursor.execute("ROLLBACK")
    return [] if first is None else _points(cursor, archive, batch_no, first - 1, first - 1 + limit)


def _points(
    cursor: duckdb.DuckDBPyConnection, archive: Archive, batch_no: int, after: int, up_to: int
) -> list[Point]:
    with archive.points(cursor, batch_no, after, up_to) as held:
        rows = cursor.execute(
            f"SELECT seq, epoch_us(ts), key FROM {held} "  # noqa: S608 (the archive's)
            "WHERE batch_no = ? AND seq > ? AND seq <= ? ORDER BY seq",
            [batch_no, after, up_to],
        ).fetchall()
    return [Point(seq, from_microseconds(ts), key) for seq, ts, key in rows]


def steps(
    cursor: duckdb.DuckDBPyConnection,
    archive: Archive,
    batch_no: int,
    since: datetime,
    before_seq: int,
) -> list[Step]:
    """The steps of the points with ``ts > since`` and ``seq < before_seq``, oldest first."""
    times = since, datetime.max
    with archive.points(cursor, batch_no, 0, before_seq - 1, times) as held:
        query = _STEPS.format(points=held)
        rows = cursor.execute(query, [batch_no, since, before_seq]).fetchall()
    return [_step(*row) for row in rows]


def minutes(
    cursor: duckdb.DuckDBPyConnection, batch_no: int, window: Window
) -> list[MinuteAggregate]:
    """The aggregates written for the minutes of a window, oldest first."""
    rows = cursor.execute(
        "SELECT minute, count, sum, min, max FROM minutes "
        "WHERE batch_no = ? AND minute >= ? AND minute < ? ORDER BY minute",
        [batch_no, window.start, window.end],
    ).fetchall()
    return [MinuteAggregate(*row) for row in rows]


def counted_since(
    cursor: duckdb.DuckDBPyConnection, start: datetime
) -> tuple[dict[int, int], dict[int, list[MinuteAggregate]]]:
    """The ``seq`` up to which each batch is counted, and the aggregates from a minute on, both
    by batch number and of one moment."""
    cursor.execute("BEGIN")
    seqs = counted(cursor)
    rows = cursor.execute(
        "SELECT batch_no, minute, count, sum, min, max FROM minutes WHERE minute >= ?", [start]
    ).fetchall()
    cursor.execute("ROLLBACK")
    found: dict[int, list[MinuteAggregate]] = {}
    for batch_no, *values in rows:
        found.setdefault(batch_no, []).append(MinuteAggregate(*values))
    return seqs, found


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
    """A row of ``_STEPS``; of points that are all the same it takes the last as the highest."""
    if lowest == highest:
        high = last_seq, last_ts
    return Step(number, count, last_seq, Vertex(lowest, *low), Vertex(highest, *high))
