"""The files of a database on disk: names, identity, free space."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError

_Identity = tuple[int, int]
"""Device and inode of a file."""


def wal_path(database: Path) -> Path:
    """The write-ahead log of a database: what is committed and not checkpointed yet."""
    return database.with_name(f"{database.name}.wal")


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def check_space(folder: Path, needed: int) -> None:
    """Refuse to write a file of ``needed`` bytes unless as much again stays free for points.

    Raises StoreUnavailableError, OSError.
    """
    free = shutil.disk_usage(folder).free
    if free < 2 * needed:
        raise StoreUnavailableError(
            f"There is not enough room in {folder}: {2 * needed} bytes are needed, {free} are free."
        )


class OpenFiles:
    """The database file and the WAL that DuckDB has open.

    DuckDB keeps writing to a file through its open handle after the file was removed, so each
    write is preceded by a check. All methods belong on the writer thread.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._opened: _Identity | None = None
        self._wal: _Identity | None = None

    def opened(self) -> None:
        """Note that DuckDB has opened the file that is at the path now."""
        self._opened = _identity(self._database)
        self._wal = _identity(wal_path(self._database))

    def committed(self) -> None:
        """Note the WAL, which DuckDB creates with the first commit after a checkpoint."""
        self._wal = self._wal or _identity(wal_path(self._database))

    def checkpointed(self) -> None:
        """Note that DuckDB has removed its WAL."""
        self._wal = None

    def check_database(self) -> None:
        """Raises StoreUnavailableError when the opened file is not at its path any more."""
        if self._opened and _identity(self._database) != self._opened:
            raise StoreUnavailableError(
                f"The database {self._database} was removed, moved or replaced while in use; new "
                "points are not saved. Put the file back, or save what is stored: download "
                "/backup, stop the app, and restore that file."
            )

    @property
    def is_wal_missing(self) -> bool:
        """Whether the WAL was removed or replaced: a restart would lose what is only there."""
        return self._wal is not None and _identity(wal_path(self._database)) != self._wal


def _identity(file: Path) -> _Identity | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
