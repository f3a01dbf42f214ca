"""What DuckDB holds in memory of its file, and when it lets go of it.

It keeps every block that it ever wrote or read until its limit is reached, and so grows with the
file up to that. Only a limit set lower makes it let go: of the blocks used longest ago first, and
of what its allocator keeps for later. So the limit is lowered for a moment, again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

LIMIT = 2 * 10**9
"""Bytes that DuckDB may hold at most; a query that needs more fails and harms nothing else."""

KEPT = 64 * 2**20
"""Bytes of the file that it keeps: the newest fifteen million points, of which most questions are.
So much can queries take more while the limit is low, in a millisecond or, when much is let go,
some tens: they need less."""

MOST_POINTS = 20_000_000
"""Points after which it lets go when the log is not folded before: large commits hardly use it."""

_BESIDE = """
SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory() WHERE tag <> 'BASE_TABLE'
"""


class Pool:
    """The memory of one database. Its methods belong on the writer's thread."""

    def __init__(self) -> None:
        self._points = 0

    def committed(self, points: int) -> bool:
        """Count so many points; whether it is time to let go."""
        self._points += points
        return self._points >= MOST_POINTS

    def let_go(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Let go of the file but for ``KEPT``, and count from none again. Raises duckdb.Error.

        What is held for other things stays in memory: points that are not in the file yet, and
        what queries need that are under way.
        """
        self._points = 0
        ((beside,),) = cursor.execute(_BESIDE).fetchall()
        if beside + KEPT < LIMIT:
            cursor.execute(f"SET memory_limit = '{beside + KEPT}B'")
            cursor.execute(f"SET memory_limit = '{LIMIT}B'")
