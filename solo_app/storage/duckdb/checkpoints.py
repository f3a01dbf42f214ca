"""Determines when to checkpoint, that is, to write the WAL into the database file.

By default DuckDB checkpoints in the commit that exceeds a WAL size. If the disk is full, that
commit fails and invalidates the instance, and in DuckDB 2.0.0 it sometimes crashed the process.
Therefore the store triggers checkpoints itself, and only if there is enough space.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from solo_app.storage.duckdb.files import wal_path

MAX_WAL_BYTES = 128 * 2**20

MAX_COMMITS = 20_000
"""Maximum number of commits between checkpoints. On start DuckDB replays 43,000 per second."""

RESERVED_BYTES = 16 * 2**20
"""Disk space for a checkpoint in addition to the size of the WAL."""


class Wal:
    """The WAL of one database: its size, and the commits since the last checkpoint."""

    def __init__(self, database: Path) -> None:
        self._path = wal_path(database)
        self._commits = 0

    @property
    def size(self) -> int:
        """Size in bytes; 0 if the WAL does not exist or cannot be accessed."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def has_space(self) -> bool:
        """Whether the disk has enough space for a checkpoint."""
        try:
            return shutil.disk_usage(self._path.parent).free >= self.size + RESERVED_BYTES
        except OSError:
            return False

    def record_commit(self) -> bool:
        """Count a commit. Returns whether a checkpoint is due and has enough space."""
        self._commits += 1
        is_due = self._commits >= MAX_COMMITS or self.size >= MAX_WAL_BYTES
        return is_due and self.has_space

    def record_checkpoint(self) -> None:
        self._commits = 0
