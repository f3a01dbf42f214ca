"""The log beside the file, and when it is folded into that.

DuckDB would do so by itself in the commit that makes the log long. Without room for it that
commit fails and DuckDB gives itself up; under such a commit DuckDB 2.0.0 was also seen to end the
whole process. So the store sees to it, and only where there is room.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from solo_app.storage.duckdb.check import log_of

LONGEST = 128 * 2**20
"""Bytes of the log at which it is folded into the file."""

MOST_COMMITS = 20_000
"""Commits after which it is folded, however small: DuckDB replays the log commit by commit when
it opens a file whose process was killed, 43 000 of them a second."""

SPARE = 16 * 2**20
"""Bytes of room that folding may take beyond what the log has."""


class Log:
    """The log of one database: what has come into it since it was folded the last time."""

    def __init__(self, path: Path) -> None:
        self._path = log_of(path)
        self._commits = 0

    @property
    def size(self) -> int:
        """Bytes; 0 when there is none, or the disk does not tell."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def committed(self) -> bool:
        """Count a commit; whether it is time to fold the log, and there is room to."""
        self._commits += 1
        if self._commits < MOST_COMMITS and self.size < LONGEST:
            return False
        return self.has_room

    @property
    def has_room(self) -> bool:
        """Whether the disk has room to fold it; one that does not tell is left alone."""
        try:
            return shutil.disk_usage(self._path.parent).free >= self.size + SPARE
        except OSError:
            return False

    def folded(self) -> None:
        """Count from none again."""
        self._commits = 0
