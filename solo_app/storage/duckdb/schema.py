"""The database schema, as a list of numbered migrations.

To change a table, append a migration to ``MIGRATIONS``, and change the module with its queries.
Each migration runs once, in a transaction that also updates the schema version.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from solo_app.batches.errors import StoreUnavailableError

_TABLES_BEFORE_VERSIONS = (
    "CREATE SEQUENCE IF NOT EXISTS batch_no",
    """
    CREATE TABLE IF NOT EXISTS batches (
        no INTEGER PRIMARY KEY, batch_id VARCHAR NOT NULL UNIQUE, created_at TIMESTAMP NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS runs (
        batch_no INTEGER NOT NULL, number INTEGER NOT NULL, source VARCHAR NOT NULL,
        status VARCHAR NOT NULL, reason VARCHAR, started_at TIMESTAMP NOT NULL,
        ended_at TIMESTAMP, first_seq BIGINT NOT NULL, last_seq BIGINT,
        PRIMARY KEY (batch_no, number)
    )
    """,
    # The first versions created these columns as INTEGER.
    "ALTER TABLE runs ALTER first_seq TYPE BIGINT",
    "ALTER TABLE runs ALTER last_seq TYPE BIGINT",
    # No index: points are stored in order of arrival, so filters on ts and seq skip row groups.
    """
    CREATE TABLE IF NOT EXISTS points (
        batch_no INTEGER NOT NULL, seq BIGINT NOT NULL, ts TIMESTAMP NOT NULL, key DOUBLE NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS minutes (
        batch_no INTEGER, minute TIMESTAMP, count BIGINT NOT NULL, sum DOUBLE NOT NULL,
        min DOUBLE NOT NULL, max DOUBLE NOT NULL, PRIMARY KEY (batch_no, minute)
    )
    """,
    # Ranges of lost points, recorded by the repair command of earlier versions.
    """
    CREATE TABLE IF NOT EXISTS losses (
        batch_no INTEGER NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS archives (
        batch_no INTEGER NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL,
        file VARCHAR NOT NULL
    )
    """,
)

_COUNTERS = (
    "CREATE TABLE counters (batch_no INTEGER PRIMARY KEY, row_count BIGINT NOT NULL, "
    "last_seq BIGINT NOT NULL)",
    # Before this version, the minutes and losses of a batch covered its points from 1 to some seq.
    """
    INSERT INTO counters
    WITH counted AS (
        SELECT batch_no, sum(count)::BIGINT AS last_seq FROM (
            SELECT batch_no, count FROM minutes
            UNION ALL SELECT batch_no, last_seq - first_seq + 1 FROM losses
        ) GROUP BY batch_no
    ), stored AS (
        SELECT batch_no, sum(count)::BIGINT AS row_count FROM (
            SELECT batch_no, count(*) AS count FROM points JOIN counted USING (batch_no)
            WHERE seq <= last_seq GROUP BY batch_no
            UNION ALL SELECT batch_no, last_seq - first_seq + 1 FROM archives
            UNION ALL
            SELECT batch_no, greatest(a.first_seq, l.first_seq) - least(a.last_seq, l.last_seq) - 1
            FROM archives a JOIN losses l USING (batch_no)
            WHERE l.first_seq <= a.last_seq AND a.first_seq <= l.last_seq
        ) GROUP BY batch_no
    )
    SELECT batch_no, coalesce(row_count, 0), last_seq FROM counted LEFT JOIN stored USING (batch_no)
    """,
    "DROP TABLE losses",
    # Earlier releases could start a run before the end of the previous one was recorded.
    """
    UPDATE runs SET status = 'interrupted', ended_at = later.started_at,
        last_seq = later.first_seq - 1
    FROM runs later WHERE runs.ended_at IS NULL
        AND later.batch_no = runs.batch_no AND later.number = runs.number + 1
    """,
)

_SOURCES = (
    "ALTER TABLE batches ADD COLUMN unit VARCHAR DEFAULT ''",
    "ALTER TABLE batches ADD COLUMN description VARCHAR DEFAULT ''",
    # A JSON object.
    "ALTER TABLE runs ADD COLUMN parameters VARCHAR DEFAULT '{}'",
    "ALTER TABLE runs ADD COLUMN restart VARCHAR DEFAULT 'never'",
    """
    CREATE TABLE log_lines (
        batch_no INTEGER NOT NULL, number BIGINT NOT NULL, ts TIMESTAMP NOT NULL,
        run INTEGER NOT NULL, level VARCHAR NOT NULL, text VARCHAR NOT NULL
    )
    """,
    # The responses to pushes with an Idempotency-Key.
    """
    CREATE TABLE receipts (
        batch_no INTEGER NOT NULL, key VARCHAR NOT NULL, body_hash VARCHAR NOT NULL,
        created_at TIMESTAMP NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL
    )
    """,
    # Deleted batches whose points and minutes are still stored.
    "CREATE TABLE deletions (batch_no INTEGER NOT NULL)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_TABLES_BEFORE_VERSIONS, _COUNTERS, _SOURCES)
"""The statements that migrate each version to the next. A new database has version 0."""

_REQUIRED_COLUMNS = {
    "batches": {"no", "batch_id", "created_at"},
    "runs": {"batch_no", "number", "source", "status", "started_at", "first_seq"},
    "points": {"batch_no", "seq", "ts", "key"},
    "minutes": {"batch_no", "minute", "count", "sum", "min", "max"},
    "losses": {"batch_no", "first_seq", "last_seq"},
    "archives": {"batch_no", "first_seq", "last_seq", "file"},
    "counters": {"batch_no", "row_count", "last_seq"},
    "log_lines": {"batch_no", "number", "ts", "run", "level", "text"},
    "receipts": {"batch_no", "key", "body_hash", "created_at", "first_seq", "last_seq"},
    "deletions": {"batch_no"},
    "schema_version": {"version"},
}
"""Columns by table. A table that lacks any of them belongs to another program."""


def check(cursor: duckdb.DuckDBPyConnection) -> None:
    """Raise StoreUnavailableError for a database of another program or a newer version.

    The message is the predicate of a sentence about the database.
    """
    for table, required in _REQUIRED_COLUMNS.items():
        if not required <= _columns(cursor, table, default=required):
            raise StoreUnavailableError(
                f"belongs to another program: its table {table} has other columns. Nothing in it "
                "was changed. Choose another file with SOLO_DATABASE."
            )
    if (found := version(cursor)) > len(MIGRATIONS):
        raise StoreUnavailableError(
            f"was written by a newer version of SOLO (schema {found}, this version supports up "
            f"to {len(MIGRATIONS)}). Nothing in it was changed. Update SOLO, or choose another "
            "file with SOLO_DATABASE."
        )


def migrate(
    cursor: duckdb.DuckDBPyConnection, migrations: Sequence[tuple[str, ...]] = MIGRATIONS
) -> None:
    """Run all pending migrations. Raises duckdb.Error."""
    for number in range(version(cursor) + 1, len(migrations) + 1):
        for statement in ("BEGIN", *migrations[number - 1], *_set_version(number), "COMMIT"):
            cursor.execute(statement)


def version(cursor: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the last migration; 0 for new and unversioned databases."""
    try:
        rows = cursor.execute("SELECT version FROM schema_version").fetchall()
    except duckdb.CatalogException:
        return 0
    return max((number for (number,) in rows), default=0)


def _set_version(number: int) -> tuple[str, ...]:
    return (
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)",
        "DELETE FROM schema_version",
        f"INSERT INTO schema_version VALUES ({number})",  # noqa: S608 (a number)
    )


def _columns(cursor: duckdb.DuckDBPyConnection, table: str, default: set[str]) -> set[str]:
    """Return the columns of a table, or ``default`` if it does not exist."""
    try:
        # Ten times faster than the first query of DuckDB's catalog.
        result = cursor.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608 (a constant)
    except duckdb.CatalogException:
        return default
    return {name for name, *_ in result.description}
