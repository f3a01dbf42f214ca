"""Going on with what is whole of a damaged database, everything kept aside."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.sources import DEFAULT_SOURCE
from solo_app.storage.duckdb.check import (
    OFFLINE,
    advice,
    is_no_log,
    log_of,
    one_line,
    read_what_a_start_needs,
    tells_of_no_room,
)
from solo_app.storage.duckdb.counted import SCHEMA, fold_the_rest
from solo_app.storage.duckdb.disk import sync
from solo_app.storage.duckdb.tally import Missing, Tail, missing, tally_of

if TYPE_CHECKING:
    import duckdb

_ROWS_AT_ONCE = 122_880
"""The rows that DuckDB stores together: where one of them cannot be read, the others can."""


def repair(path: Path, now: datetime) -> str:
    """Make a database one that opens, and keep its files as they were aside; tells what is in it.

    All of it is done to a copy. A kill at any moment leaves the database as it was or repaired,
    or such that a start refuses it and another repair ends what this one began.
    Raises StoreUnavailableError; then the files are as they were.
    """
    try:
        with _held(path) as files, _copied(path, files) as copy:
            lacking, unreadable = _made_whole(path, copy, now)
            kept = _kept_aside(path, files, now)
            _make_alike(files[path], copy)
            _put_in_place(copy, path)
    except OSError as error:
        raise StoreUnavailableError(advice(path, error)) from error
    lost = f"{lacking}; " if lacking else ""
    lost += f"{unreadable} points could not be read; " if unreadable else ""
    return f"The database {path} is repaired: {lost}as it was, it is kept in {kept}."


Files = dict[Path, BinaryIO]
"""The files of a database, open to be read from their beginning."""


@contextmanager
def _held(path: Path) -> Iterator[Files]:
    """The files of a database, which no other process opens meanwhile.

    Whoever opened and closed the database once more would let go of it.
    """
    with ExitStack() as opened:
        files: Files = {path: opened.enter_context(path.open("rb+"))}
        fcntl.lockf(files[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
        for file in (log_of(path), tally_of(path)):
            if file.exists():
                files[file] = opened.enter_context(file.open("rb"))
        yield files


@contextmanager
def _copied(path: Path, files: Files) -> Iterator[Path]:
    """A copy of a database to work on, in a folder that is taken away in the end.

    It is on the disk of the database, which may be another than that of a link to it.
    """
    folder = path.resolve().with_name(f".{path.name}.repairing")
    shutil.rmtree(folder, ignore_errors=True)  # A killed repair leaves it.
    try:
        folder.mkdir()
        for file, opened in files.items():
            _copy_file(opened, folder / file.name)
        yield folder / path.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_file(opened: BinaryIO, to: Path) -> None:
    opened.seek(0)
    with to.open("xb") as file:
        shutil.copyfileobj(opened, file, 2**20)
        file.flush()
        os.fsync(file.fileno())
    _make_alike(opened, to)


def _make_alike(opened: BinaryIO, to: Path) -> None:
    """Give a file the owner, as far as that may be, and the rights of another."""
    was = os.fstat(opened.fileno())
    with suppress(PermissionError):
        os.chown(to, was.st_uid, was.st_gid)
    to.chmod(stat.S_IMODE(was.st_mode))


def _kept_aside(path: Path, files: Files, now: datetime) -> Path:
    """The folder in which the files have another name, by which they stay."""
    kept = path.with_name(f"{path.name}.kept-{now:%Y%m%dT%H%M%S}Z")
    kept.mkdir()
    try:
        for file, opened in files.items():
            try:
                os.link(file.resolve(), kept / file.name)
            except OSError:  # Some disks know one name for a file only, and none that of another.
                _copy_file(opened, kept / file.name)
        sync(kept)
        sync(kept.parent)
    except OSError:
        shutil.rmtree(kept, ignore_errors=True)
        raise
    return kept


def _put_in_place(copy: Path, path: Path) -> None:
    """The log goes after the database that it belongs to: DuckDB refuses it beside another one,
    while without it the old database would open, and lack what is in it."""
    database = path.resolve()
    sync(copy)
    copy.replace(database)
    sync(database.parent)
    log_of(path).unlink(missing_ok=True)
    tally_of(path).unlink(missing_ok=True)


def _made_whole(path: Path, copy: Path, now: datetime) -> tuple[Missing | None, int]:
    """See ``_open_what_is_whole``; the copy is one file alone then, all of it in there."""
    import duckdb

    try:
        lacking, unreadable = _open_what_is_whole(copy)
        if lacking:
            _note_losses(copy, lacking, now)
        with duckdb.connect(copy, config=OFFLINE) as connection:
            connection.execute("CHECKPOINT")  # The end of a connection does not tell that it fails.
        return lacking, unreadable
    except duckdb.Error as error:
        if tells_of_no_room(error):
            raise StoreUnavailableError(advice(path, error)) from error
        raise StoreUnavailableError(
            f"The database {path} cannot be repaired; it is as it was. Put a good copy in its "
            f"place, or choose another file with SOLO_DATABASE. DuckDB says: {one_line(error)}"
        ) from error


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
    new = path.with_name("new")
    with duckdb.connect(new, config=OFFLINE) as connection:
        old = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
        unreadable = _copy(connection)
        connection.execute("CHECKPOINT")
    new.replace(path)
    log_of(path).unlink(missing_ok=True)
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
