"""Checks whether a database file can be opened."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb import schema
from solo_app.storage.duckdb.errors import format_open_error
from solo_app.storage.duckdb.files import wal_path

OFFLINE: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
"""Configuration of every connection. By default DuckDB downloads extensions to open a file."""


def check_database(path: Path) -> None:
    """Check that the database can be opened or created, without changing anything.

    Raises StoreUnavailableError.
    """
    try:
        with _folder(path.parent):
            reject_orphaned_wal(path)
            if path.exists():
                with duckdb.connect(path, read_only=True, config=OFFLINE) as connection:
                    check_content(path, connection)
                _check_unlocked(path)
            for needed in {path.parent, path if path.exists() else path.parent}:
                if not os.access(needed, os.W_OK):
                    raise PermissionError
    except (duckdb.Error, OSError) as error:
        raise StoreUnavailableError(format_open_error(path, error)) from error


def reject_orphaned_wal(path: Path) -> None:
    """Raise StoreUnavailableError if a WAL has no database.

    DuckDB would create a database and delete the WAL.
    """
    if wal_path(path).exists() and not path.exists():
        raise StoreUnavailableError(
            f"The database {path} is missing, but its WAL {wal_path(path)} exists. Put the "
            "database back, or move the WAL away to start with an empty database, or choose "
            "another file with SOLO_DATABASE."
        )


def check_content(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Raise StoreUnavailableError for a file that is truncated or that was written by another
    program or a newer version."""
    # DuckDB opens a truncated file, and fails later when it reads a missing block.
    ((size,),) = connection.execute(
        "SELECT coalesce(max(block_size * used_blocks), 0) FROM pragma_database_size()"
    ).fetchall()
    if path.stat().st_size < size:
        raise StoreUnavailableError(
            f"The database {path} is truncated: it has {path.stat().st_size} of at least {size} "
            "bytes. Restore a backup, or choose another file with SOLO_DATABASE."
        )
    try:
        schema.check(connection)
    except StoreUnavailableError as error:
        raise StoreUnavailableError(f"The database {path} {error}") from None


def _check_unlocked(path: Path) -> None:
    """Raise BlockingIOError if any process has the database open, even read-only.

    DuckDB locks the whole file; readers share their lock.
    """
    with path.open("rb+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Create a missing folder and remove it after the block. Raises OSError."""
    created: list[Path] = []
    try:
        for missing in [f for f in (folder, *folder.parents) if not f.exists()][::-1]:
            missing.mkdir()
            created.append(missing)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        yield
    finally:
        for added in reversed(created):
            added.rmdir()
