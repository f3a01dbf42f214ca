"""The invariants of every database, even after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from solo_app.batches.models import LOG_LINES


@dataclass(frozen=True)
class StoredBatch:
    """``runs``: status, first seq and last seq of each run."""

    points: int
    runs: list[tuple[str, int, int]]


def check_integrity(database: Path) -> dict[str, StoredBatch]:
    """Check the invariants of a closed database, and return its batches.

    ``seq`` is in order, without gaps or duplicates. Minutes and counters agree with the points.
    Each run begins after the previous one. Logs are bounded, without gaps or duplicates.
    """
    with duckdb.connect(database, read_only=True) as connection:

        def query(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        exists = "batch_no IN (SELECT no FROM batches)"  # Deleted batches may still have points.
        counts = query(
            "SELECT batch_id, count(seq), min(seq), max(seq), count(DISTINCT seq) FROM batches "
            "LEFT JOIN points ON batch_no = no GROUP BY batch_id"
        )
        counters = {
            batch_id: (row_count, last_seq)
            for batch_id, row_count, last_seq in query(
                "SELECT batch_id, row_count, last_seq FROM counters JOIN batches ON no = batch_no"
            )
        }
        assert query(
            "SELECT count(*) FROM (SELECT seq <= lag(seq) OVER (PARTITION BY batch_no ORDER BY "
            "rowid) AS back FROM points) WHERE back"
        ) == [(0,)]
        by_points = query(
            "SELECT batch_no, date_trunc('minute', ts) AS minute, count(*), sum(key), min(key), "
            f"max(key) FROM points WHERE {exists} GROUP BY ALL ORDER BY ALL"
        )
        by_minutes = query(f"SELECT * FROM minutes WHERE {exists} ORDER BY batch_no, minute")
        runs = query(
            "SELECT batch_id, status, first_seq, last_seq FROM runs JOIN batches ON no = batch_no "
            "ORDER BY batch_id, number"
        )
        logs = query(
            "SELECT batch_no, count(*), max(number) - min(number) + 1, count(DISTINCT number) "
            "FROM log_lines GROUP BY batch_no"
        )
    for batch_no, count, span, distinct in logs:
        assert count == span == distinct <= LOG_LINES, batch_no
    for batch_id, count, first, last, distinct in counts:
        assert distinct == count, batch_id
        if count:
            assert (first, last) == (1, count), batch_id
        assert counters.get(batch_id, (0, 0)) == (count, count), batch_id
    assert by_minutes == by_points
    found = {batch_id: StoredBatch(count, []) for batch_id, count, *_ in counts}
    for batch_id, status, first_seq, last_seq in runs:
        assert status != "running", batch_id
        before = found[batch_id].runs
        assert first_seq == (before[-1][2] + 1 if before else 1)
        before.append((status, first_seq, last_seq))
    for batch_id, batch in found.items():
        assert batch.runs[-1][2] == batch.points, batch_id
    return found
