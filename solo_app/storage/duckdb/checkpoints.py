"""When the WAL is checkpointed, that is, written into the database file.

DuckDB does so by itself in the commit that makes the WAL long. Without free disk space that
commit fails and invalidates the instance; DuckDB 2.0.0 was also seen to end the process. So the
store triggers checkpoints itself, and only if there is space.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from solo_app.storage.duckdb.files import wal_path

MAX_WAL_BYTES = 128 * 2**20

MAX_COMMITS = 20_000
"""Commits between two checkpoints: after a kill DuckDB replays 43 000 of them a second."""

SPARE_BYTES = 16 * 2**20
"""Disk space that a checkpoint may take beyond the size of the WAL."""


class Wal:
    """The WAL of one database: its size, and the commits since the last checkpoint."""

    def __init__(self, database: Path) -> None:
        self._path = wal_path(database)
        self._commits = 0

    @property
    def size(self) -> int:
        """Bytes; 0 when there is no WAL or it cannot be read."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def has_space(self) -> bool:
        """Whether the disk has space for a checkpoint."""
        try:
            return shutil.disk_usage(self._path.parent).free >= self.size + SPARE_BYTES
        except OSError:
            return False

    def committed(self) -> bool:
        """Count a commit; returns whether a checkpoint is due and has space."""
        self._commits += 1
        is_due = self._commits >= MAX_COMMITS or self.size >= MAX_WAL_BYTES
        return is_due and self.has_space

    def checkpointed(self) -> None:
        """Start counting again."""
        self._commits = 0
