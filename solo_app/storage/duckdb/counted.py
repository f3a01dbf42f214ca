"""What the minutes count: points are folded into them, and a batch's counts tell its last seq.

In every committed state the minutes of a batch, and its losses, count exactly the points from
the first up to some ``seq``. Losses are points that were committed and that a repair found gone:
their ``seq`` is never given again, since somebody may have seen it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

SCHEMA = """
CREATE TABLE IF NOT EXISTS minutes (
    batch_no INTEGER, minute TIMESTAMP, count BIGINT NOT NULL, sum DOUBLE NOT NULL,
    min DOUBLE NOT NULL, max DOUBLE NOT NULL, PRIMARY KEY (batch_no, minute)
);
CREATE TABLE IF NOT EXISTS losses (
    batch_no INTEGER NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL
);
"""

_MERGE = """
ON CONFLICT DO UPDATE SET count = minutes.count + excluded.count,
    sum = minutes.sum + excluded.sum,
    min = least(minutes.min, excluded.min), max = greatest(minutes.max, excluded.max)
"""

ADD_MINUTES = "INSERT INTO minutes SELECT * FROM minute_columns" + _MERGE  # noqa: S608 (both parts are constants)

_FOLD_THE_REST = f"""
INSERT INTO minutes
SELECT batch_no, date_trunc('minute', ts) AS minute, count(*), sum(key), min(key), max(key)
FROM points WHERE batch_no = $batch_no AND seq > $folded
GROUP BY ALL {_MERGE}
"""  # noqa: S608 (both parts are constants)

_COUNTED = "SELECT batch_no, sum(count)::BIGINT FROM minutes GROUP BY batch_no"
_LOST = "SELECT batch_no, sum(last_seq - first_seq + 1)::BIGINT FROM losses GROUP BY batch_no"


def counted(cursor: duckdb.DuckDBPyConnection) -> dict[int, int]:
    """The ``seq`` up to which each batch is counted, by its number."""
    import duckdb

    found = dict(cursor.execute(_COUNTED).fetchall())
    try:
        lost = cursor.execute(_LOST).fetchall()
    except duckdb.CatalogException:  # Of an earlier version, and not opened by this one yet.
        return found
    for batch_no, points in lost:
        found[batch_no] = found.get(batch_no, 0) + points
    return found


def open_runs(cursor: duckdb.DuckDBPyConnection) -> list[int]:
    """The numbers of the batches that may have points which are not counted.

    Only a run whose end was not recorded can have left any.
    """
    rows = cursor.execute("SELECT DISTINCT batch_no FROM runs WHERE ended_at IS NULL").fetchall()
    return [batch_no for (batch_no,) in rows]


def fold_the_rest(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Have the minutes count every point, each batch all or nothing.

    Gives whether there are runs without an end.
    """
    unfolded = open_runs(cursor)
    if not unfolded:
        return False
    folded = counted(cursor)
    for batch_no in unfolded:
        cursor.execute(_FOLD_THE_REST, {"batch_no": batch_no, "folded": folded.get(batch_no, 0)})
    return True
