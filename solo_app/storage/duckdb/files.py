"""The files of a database: names, identity and free space."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError

_Identity = tuple[int, int]
"""Device and inode of a file."""


def wal_path(database: Path) -> Path:
    """Return the path of the write-ahead log, which has the commits since the last checkpoint."""
    return database.with_name(f"{database.name}.wal")


def sync(path: Path) -> None:
    """Flush a file or a folder to disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def check_space(folder: Path, needed: int) -> None:
    """Check that a file of ``needed`` bytes fits and leaves as much space for new points.

    Raises StoreUnavailableError, OSError.
    """
    free = shutil.disk_usage(folder).free
    if free < 2 * needed:
        raise StoreUnavailableError(
            f"Not enough space in {folder}: {2 * needed} bytes are needed, {free} are free."
        )


class OpenFiles:
    """The database file and the WAL that DuckDB has open.

    DuckDB keeps writing to a removed file through its open handle. Therefore the store checks the
    files before each write. Call all methods on the writer thread.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._opened: _Identity | None = None
        self._min_size = 0
        self._wal: _Identity | None = None

    def record_open(self) -> None:
        """Record the files that DuckDB has opened."""
        self._opened = _identity(self._database)
        self._min_size = _size(self._database)
        self._wal = _identity(wal_path(self._database))

    def record_commit(self) -> None:
        """Record the WAL, which DuckDB creates in the first commit after a checkpoint."""
        self._wal = self._wal or _identity(wal_path(self._database))

    def record_checkpoint(self) -> None:
        """Record that DuckDB has removed its WAL and may have shrunk the database file."""
        self._min_size = _size(self._database)
        self._wal = None

    @property
    def is_database_replaced(self) -> bool:
        """Whether the opened file is no longer at its path, or was truncated or overwritten.

        Only a checkpoint shrinks the file. Its contents must not be compared: closing the file
        anywhere in this process would release the lock that DuckDB holds on it (POSIX).
        """
        return self._opened is not None and (
            _identity(self._database) != self._opened or _size(self._database) < self._min_size
        )

    def check_database(self) -> None:
        """Raise StoreUnavailableError if the database was replaced."""
        if self.is_database_replaced:
            raise StoreUnavailableError(
                f"The database {self._database} was removed, moved or replaced while in use; new "
                "points are not saved. Move the original file back (a copy does not help), or save "
                "the stored data: download /backup, stop the app, and restore that file."
            )

    @property
    def is_wal_missing(self) -> bool:
        """Whether the WAL was removed or replaced, so that a restart would lose its contents."""
        return self._wal is not None and _identity(wal_path(self._database)) != self._wal


def _identity(file: Path) -> _Identity | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
