"""The tables ``minutes`` and ``counters``: aggregates of the stored points.

Both are updated in one transaction. In every committed state the minutes of a batch include
exactly its points up to ``counters.last_seq``, and only such points are archived. Later points
are added when the store opens. Therefore totals do not require counting the large table ``points``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import duckdb
import numpy as np
from numpy.typing import NDArray

from solo_app.batches.models import BatchCounter, MinuteAggregate, StoredMinutes, Window

Columns = dict[str, NDArray[np.generic]]

_MERGE_MINUTES = """
ON CONFLICT DO UPDATE SET count = minutes.count + excluded.count,
    sum = minutes.sum + excluded.sum,
    min = least(minutes.min, excluded.min), max = greatest(minutes.max, excluded.max)
"""

_MERGE_COUNTERS = """
ON CONFLICT DO UPDATE SET row_count = counters.row_count + excluded.row_count,
    last_seq = excluded.last_seq
"""

ADD_MINUTES = "INSERT INTO minutes SELECT * FROM new_minutes" + _MERGE_MINUTES  # noqa: S608 (constants)

ADD_COUNTERS = "INSERT INTO counters SELECT * FROM new_counters" + _MERGE_COUNTERS  # noqa: S608 (constants)

_ADD_REMAINING = (
    f"""
INSERT INTO minutes
SELECT batch_no, date_trunc('minute', ts) AS minute, count(*), sum(key), min(key), max(key)
FROM points WHERE batch_no = $batch_no AND seq > $last_seq GROUP BY ALL {_MERGE_MINUTES}
""",  # noqa: S608 (constants)
    f"""
INSERT INTO counters SELECT batch_no, count(*), max(seq)
FROM points WHERE batch_no = $batch_no AND seq > $last_seq GROUP BY batch_no {_MERGE_COUNTERS}
""",  # noqa: S608 (constants)
)


def minute_columns(minutes: Mapping[int, list[MinuteAggregate]]) -> Columns:
    """Convert aggregates by batch number to rows of the table ``minutes``."""
    rows = [(batch_no, m) for batch_no, of_batch in minutes.items() for m in of_batch]
    return {
        "batch_no": np.array([batch_no for batch_no, _ in rows], np.int32),
        "minute": np.array([m.minute for _, m in rows], "datetime64[us]"),
        "count": np.array([m.count for _, m in rows], np.int64),
        "sum": np.array([m.sum for _, m in rows]),
        "min": np.array([m.min for _, m in rows]),
        "max": np.array([m.max for _, m in rows]),
    }


def counter_columns(
    minutes: Mapping[int, list[MinuteAggregate]], last_seqs: Mapping[int, int]
) -> Columns:
    """Return the rows to merge into ``counters``, given the last ``seq`` by batch number."""
    return {
        "batch_no": np.array(list(minutes), np.int32),
        "row_count": np.array([sum(m.count for m in of_batch) for of_batch in minutes.values()]),
        "last_seq": np.array([last_seqs[batch_no] for batch_no in minutes], np.int64),
    }


def counters(cursor: duckdb.DuckDBPyConnection) -> dict[int, BatchCounter]:
    """Return the counters of the points that the minutes include, by batch number."""
    rows = cursor.execute("SELECT batch_no, row_count, last_seq FROM counters").fetchall()
    return {batch_no: BatchCounter(row_count, last_seq) for batch_no, row_count, last_seq in rows}


def add_remaining_points(cursor: duckdb.DuckDBPyConnection) -> None:
    """Add the points that the minutes do not include yet, in the caller's transaction.

    Only runs without a recorded end have such points.
    """
    rows = cursor.execute("SELECT DISTINCT batch_no FROM runs WHERE ended_at IS NULL").fetchall()
    included = counters(cursor)
    for (batch_no,) in rows:
        last_seq = included[batch_no].last_seq if batch_no in included else 0
        for statement in _ADD_REMAINING:
            cursor.execute(statement, {"batch_no": batch_no, "last_seq": last_seq})


def stored_minutes(cursor: duckdb.DuckDBPyConnection, start: datetime) -> StoredMinutes:
    """See ``Storage.stored_minutes``."""
    cursor.execute("BEGIN")
    result = StoredMinutes(counters(cursor), {})
    rows = cursor.execute(
        "SELECT batch_no, minute, count, sum, min, max FROM minutes WHERE minute >= ?", [start]
    ).fetchall()
    cursor.execute("ROLLBACK")
    for batch_no, *values in rows:
        result.minutes.setdefault(batch_no, []).append(MinuteAggregate(*values))
    return result


def minutes(
    cursor: duckdb.DuckDBPyConnection, batch_no: int, window: Window
) -> list[MinuteAggregate]:
    """Return the aggregates of a window, oldest first."""
    rows = cursor.execute(
        "SELECT minute, count, sum, min, max FROM minutes "
        "WHERE batch_no = ? AND minute >= ? AND minute < ? ORDER BY minute",
        [batch_no, window.start, window.end],
    ).fetchall()
    return [MinuteAggregate(*row) for row in rows]
