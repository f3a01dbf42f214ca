"""Checks whether a database file can be used, with one-line error messages."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb import schema
from solo_app.storage.duckdb.files import wal_path

if TYPE_CHECKING:
    import duckdb

OFFLINE: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
"""Configuration of every connection. By default DuckDB downloads extensions to open a file."""


def check(path: Path) -> None:
    """Check that the database can be opened or created, without changing anything.

    Raises StoreUnavailableError.
    """
    import duckdb

    try:
        with _folder(path.parent):
            refuse_wal_without_database(path)
            if path.exists():
                with duckdb.connect(path, read_only=True, config=OFFLINE) as connection:
                    check_content(path, connection)
                _check_unlocked(path)
            for needed in {path.parent, path if path.exists() else path.parent}:
                if not os.access(needed, os.W_OK):
                    raise PermissionError
    except (duckdb.Error, OSError) as error:
        raise StoreUnavailableError(open_error(path, error)) from error


def refuse_wal_without_database(path: Path) -> None:
    """Refuse to create a database next to a WAL, which DuckDB would delete.

    Raises StoreUnavailableError.
    """
    if wal_path(path).exists() and not path.exists():
        raise StoreUnavailableError(
            f"The database {path} is missing, but its WAL {wal_path(path)} exists. Put the "
            "database back, or move the WAL away to start with an empty database, or choose "
            "another file with SOLO_DATABASE."
        )


def check_content(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse a file that is truncated or was written by another program or a newer version.

    Raises StoreUnavailableError.
    """
    # DuckDB opens a truncated file and fails only when it reads a missing block.
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


def open_error(path: Path, error: Exception) -> str:
    """Return one line: why the database cannot be opened, and what to do."""
    text = str(error)
    if isinstance(error, BlockingIOError) or "Could not set lock" in text:
        return (
            f"The database {path} is in use by another process{_lock_owner(text)}. "
            "Stop that process, or choose another file with SOLO_DATABASE."
        )
    read_only = os.strerror(errno.EROFS)
    if isinstance(error, PermissionError) or "Permission denied" in text or read_only in text:
        return (
            f"The database {path} is not writable. Give this user write permission for it and "
            "its folder, or choose another file with SOLO_DATABASE."
        )
    if is_disk_full(error):
        return f"{_disk_full(path)} Free some space, or choose another file with SOLO_DATABASE."
    if isinstance(error, OSError):
        return (
            f"The folder {path.parent} cannot be used ({error.strerror}). "
            "Choose another file with SOLO_DATABASE."
        )
    if "created with a newer version" in text:
        return (
            f"The database {path} was written by a newer DuckDB. Nothing in it was changed. "
            "Update SOLO, or choose another file with SOLO_DATABASE. "
            f"DuckDB reports: {one_line(error)}"
        )
    return (
        f"The database {path} cannot be opened. Nothing in it was changed. Restore a backup, or "
        f"choose another file with SOLO_DATABASE. DuckDB reports: {one_line(error)}"
    )


def write_error(path: Path, error: Exception) -> str:
    """Return one line: why the open database rejected a write."""
    if is_disk_full(error):
        return _disk_full(path)
    return f"The database rejected the write: {one_line(error)}"


def is_disk_full(error: Exception) -> bool:
    """Return whether an operation failed because the disk is full."""
    return os.strerror(errno.ENOSPC) in str(error)


def one_line(error: Exception) -> str:
    """Return the text of an error, at most 200 characters without line breaks."""
    return " ".join(str(error).split())[:200]


def _disk_full(path: Path) -> str:
    return f"No space left on the disk of {path}."


def _lock_owner(text: str) -> str:
    _, found, rest = text.partition("PID ")
    pid = rest.split(" ")[0].rstrip(").,") if found else ""
    return f" (process {pid})" if pid.isdigit() else ""


def _check_unlocked(path: Path) -> None:
    """Raise BlockingIOError if any process has the database open, even for reading only.

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
