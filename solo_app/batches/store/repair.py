"""Going on with what is whole of a damaged database, after everything was kept aside."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.sources import DEFAULT_SOURCE
from solo_app.batches.store.check import (
    OFFLINE,
    advice,
    is_no_log,
    log_of,
    one_line,
    read_what_a_start_needs,
)
from solo_app.batches.store.counted import SCHEMA, fold_the_rest
from solo_app.batches.store.tally import Missing, Tail, missing, tally_of

if TYPE_CHECKING:
    import duckdb

_ROWS_AT_ONCE = 122_880
"""The rows that DuckDB stores together: where one of them cannot be read, the others can."""


def repair(path: Path, now: datetime) -> str:
    """Keep the files of a database aside, then make it one that opens; tells what is in it.

    Raises StoreUnavailableError; then the files are as they were.
    """
    import duckdb

    try:
        kept = _kept_aside(path, now)
    except (OSError, duckdb.Error) as error:
        raise StoreUnavailableError(advice(path, error)) from error
    try:
        lacking, unreadable = _open_what_is_whole(path)
        if lacking:
            _note_losses(path, lacking, now)
    except (duckdb.Error, OSError) as error:
        _put_back(path, kept)
        raise StoreUnavailableError(
            f"The database {path} cannot be repaired; it is as it was. Put a good copy in its "
            f"place, or choose another file with SOLO_DATABASE. DuckDB says: {one_line(error)}"
        ) from error
    tally_of(path).unlink(missing_ok=True)
    lost = f"{lacking}; " if lacking else ""
    lost += f"{unreadable} points could not be read; " if unreadable else ""
    return f"The database {path} is repaired: {lost}as it was, it is kept in {kept}."


def _files_of(path: Path) -> list[Path]:
    return [file for file in (path, log_of(path), tally_of(path)) if file.exists()]


def _kept_aside(path: Path, now: datetime) -> Path:
    with path.open("rb+") as opened:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    kept = path.with_name(f"{path.name}.kept-{now:%Y%m%dT%H%M%S}Z")
    kept.mkdir()
    for file in _files_of(path):
        shutil.copy2(file, kept / file.name)
    return kept


def _put_back(path: Path, kept: Path) -> None:
    for file in _files_of(path):
        file.unlink()
    for file in kept.iterdir():
        shutil.move(file, path.with_name(file.name))
    kept.rmdir()


def _open_what_is_whole(path: Path) -> tuple[Missing | None, int]:
    """What is missing for want of a log, and how many points could not be read."""
    import duckdb

    if is_no_log(log_of(path)):
        log_of(path).unlink()
    try:
        duckdb.connect(path, config=OFFLINE).close()
    except duckdb.Error:
        if not log_of(path).exists():
            raise
        log_of(path).unlink()
    with duckdb.connect(path, config=OFFLINE) as connection:
        lacking = missing(path, connection)
        if not connection.execute("FROM duckdb_tables() WHERE table_name = 'points'").fetchall():
            return lacking, 0
        try:
            # Whatever is damaged shows when all of it is read.
            read_what_a_start_needs(connection)
            connection.execute("SELECT bit_xor(hash(COLUMNS(*))) FROM points").fetchall()
            return lacking, 0
        except duckdb.Error:
            pass
    # Only what can be read goes into a new file; the old one would fail again and again.
    new = path.with_name(f".{path.name}.repaired")
    new.unlink(missing_ok=True)
    try:
        with duckdb.connect(new, config=OFFLINE) as connection:
            old = str(path).replace("'", "''")
            connection.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
            unreadable = _copy(connection)
        new.replace(path)
    finally:
        for file in (new, log_of(new)):
            file.unlink(missing_ok=True)
    return lacking, unreadable


def _note_losses(path: Path, lacking: Missing, now: datetime) -> None:
    """See that the ``seq`` of points that somebody may have seen is never given again."""
    import duckdb

    with duckdb.connect(path, config=OFFLINE) as connection:
        connection.execute("BEGIN")
        connection.execute(SCHEMA)
        fold_the_rest(connection)
        for tail in lacking.tails:
            if tail.name is not None:
                _note_loss(connection, tail, tail.name, now)
        connection.execute("COMMIT")


def _note_loss(connection: duckdb.DuckDBPyConnection, tail: Tail, name: str, now: datetime) -> None:
    """The lost points are of the run that was not ended, or of one that is lost as well."""
    found = connection.execute("SELECT no FROM batches WHERE batch_id = ?", [name]).fetchall()
    if not found:
        found = connection.execute(
            "INSERT INTO batches SELECT nextval('batch_no'), ?, ? RETURNING no", [name, now]
        ).fetchall()
    ((no,),) = found
    first, last = tail.first_seq, tail.last_seq
    connection.execute("INSERT INTO losses VALUES (?, ?, ?)", [no, first, last])
    reason = f"Its points from {first} to {last} were lost with the log of the database."
    ended = connection.execute(
        "UPDATE runs SET status = 'interrupted', reason = ?, last_seq = ?, ended_at = coalesce("
        "(SELECT max(ts) FROM points WHERE batch_no = ? AND seq = ?), started_at) "
        "WHERE batch_no = ? AND ended_at IS NULL RETURNING number",
        [reason, last, no, first - 1, no],
    ).fetchall()
    if not ended:
        connection.execute(
            "INSERT INTO runs (batch_no, number, source, status, reason, started_at, ended_at, "
            "first_seq, last_seq) SELECT ?, coalesce(max(number), 0) + 1, ?, 'interrupted', ?, "
            "?, ?, ?, ? FROM runs WHERE batch_no = ?",
            [no, DEFAULT_SOURCE, reason, now, now, first, last, no],
        )


def _copy(connection: duckdb.DuckDBPyConnection) -> int:
    """Copy what can be read of ``old``; how many points could not."""
    import duckdb

    ((next_no,),) = connection.execute(
        "SELECT coalesce(max(no), 0) + 1 FROM old.batches"
    ).fetchall()
    connection.execute(f"CREATE SEQUENCE batch_no START WITH {next_no:d}")
    for (made,) in connection.execute(
        "SELECT sql FROM duckdb_tables() WHERE database_name = 'old'"
    ).fetchall():
        connection.execute(made.replace("CREATE TABLE old.", "CREATE TABLE "))
    for (table,) in connection.execute(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE database_name = 'old' AND table_name != 'points'"
    ).fetchall():
        connection.execute(f'INSERT INTO "{table}" SELECT * FROM old."{table}"')  # noqa: S608 (a table's name)
    unreadable = 0
    for first, end in _ranges(connection):
        try:
            connection.execute(
                "INSERT INTO points SELECT * FROM old.points WHERE rowid >= ? AND rowid < ?",
                [first, end],
            )
        except duckdb.Error:
            unreadable += end - first
    return unreadable


def _ranges(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[int, int]]:
    """The row numbers of the points that are stored together, from the first to after the last."""
    ((rows,),) = connection.execute(
        "SELECT estimated_size FROM duckdb_tables() "
        "WHERE database_name = 'old' AND table_name = 'points'"
    ).fetchall()
    for first in range(0, rows, _ROWS_AT_ONCE):
        yield first, min(first + _ROWS_AT_ONCE, rows)
