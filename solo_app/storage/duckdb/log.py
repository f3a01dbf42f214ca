"""The table ``log_lines``: the latest lines of the log of each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from solo_app.batches.models import LOG_LINES, LogLevel, LogLine

_DELETE = "DELETE FROM log_lines WHERE batch_no = ? AND (number >= ? OR number <= ?)"

_INSERT = "INSERT INTO log_lines SELECT " + ", ".join(["unnest(?)"] * 6)

_SELECT = (
    "SELECT number, ts, run, level, text FROM log_lines "
    "WHERE batch_no = ? ORDER BY number DESC LIMIT ?"
)


def append(cursor: duckdb.DuckDBPyConnection, lines: Mapping[int, Sequence[LogLine]]) -> None:
    """Add lines by batch number, in the caller's transaction, and delete the oldest ones."""
    rows = []
    for batch_no, of_batch in lines.items():
        first, last = of_batch[0].number, of_batch[-1].number
        # Replaces lines of an earlier attempt, which can have committed although it raised.
        cursor.execute(_DELETE, [batch_no, first, last - LOG_LINES])
        rows += [(batch_no, li.number, li.ts, li.run, li.level, li.text) for li in of_batch]
    cursor.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])


def lines(cursor: duckdb.DuckDBPyConnection, batch_no: int) -> list[LogLine]:
    """See ``Storage.log``."""
    rows = cursor.execute(_SELECT, [batch_no, LOG_LINES]).fetchall()
    return [
        LogLine(number, ts, run, LogLevel(level), text)
        for number, ts, run, level, text in reversed(rows)
    ]
