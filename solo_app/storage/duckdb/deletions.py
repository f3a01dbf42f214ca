"""Deletion of batches.

One transaction deletes the rows of a batch from all small tables and lists it in the table
``deletions``. From then on the batch does not exist, even after a crash. Its points and minutes are
deleted later, in parts: deleting 50 million points at once exceeds the memory limit of DuckDB and
blocks the writer for seconds. A part blocks it for at most 100 ms.
"""

from __future__ import annotations

from datetime import timedelta

import duckdb

POINTS_PER_PART = 1_000_000

MINUTES_PER_PART = timedelta(days=60)
"""Deleting minutes is slow, because they have an index."""

Statement = tuple[str, list[object]]
"""SQL and its values."""

_TABLES = ("runs", "counters", "archives", "log_lines", "receipts")


def delete_batch(cursor: duckdb.DuckDBPyConnection, batch_no: int) -> None:
    """Delete a batch, except for its points and minutes, in the caller's transaction."""
    for table in _TABLES:
        cursor.execute(f"DELETE FROM {table} WHERE batch_no = ?", [batch_no])  # noqa: S608 (a constant)
    cursor.execute("DELETE FROM batches WHERE no = ?", [batch_no])
    cursor.execute("INSERT INTO deletions VALUES (?)", [batch_no])


def exists(cursor: duckdb.DuckDBPyConnection, batch_no: int) -> bool:
    """Return whether a batch is still in the database."""
    return bool(cursor.execute("SELECT 1 FROM batches WHERE no = ?", [batch_no]).fetchall())


def remaining_parts(cursor: duckdb.DuckDBPyConnection) -> list[Statement]:
    """Return the statements that complete all deletions. Each is a transaction of its own."""
    parts: list[Statement] = []
    for (batch_no,) in cursor.execute("SELECT DISTINCT batch_no FROM deletions").fetchall():
        parts += _parts(cursor, batch_no, "points", "seq", POINTS_PER_PART)
        parts += _parts(cursor, batch_no, "minutes", "minute", MINUTES_PER_PART)
        parts.append(("DELETE FROM deletions WHERE batch_no = ?", [batch_no]))
    return parts


def _parts(
    cursor: duckdb.DuckDBPyConnection, batch_no: int, table: str, column: str, size: object
) -> list[Statement]:
    """Return statements that delete the rows of a batch, each for ``size`` values of the column.

    Explicit bounds allow DuckDB to skip row groups.
    """
    ((first, last),) = cursor.execute(
        f"SELECT min({column}), max({column}) FROM {table} WHERE batch_no = ?",  # noqa: S608 (constants)
        [batch_no],
    ).fetchall()
    delete = f"DELETE FROM {table} WHERE batch_no = ? AND {column} >= ? AND {column} < ?"  # noqa: S608 (constants)
    parts: list[Statement] = []
    while first is not None and first <= last:
        parts.append((delete, [batch_no, first, first + size]))
        first += size
    return parts
