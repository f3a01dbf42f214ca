"""Reads that take long: one at a time, so that a reader thread stays free for the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from solo_app.batches.errors import ServiceClosedError

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")


class Read(Protocol):
    """Runs a query on a reader thread, on a cursor of its own."""

    def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T], /) -> Awaitable[T]: ...  # noqa: D102


class LongReads:
    """Runs queries like ``Read``, the next one when the last has ended."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._one_at_a_time = asyncio.Lock()
        self._under_way: duckdb.DuckDBPyConnection | None = None
        self._stopped = False

    async def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Raises ServiceClosedError once they are stopped."""

        def noted(cursor: duckdb.DuckDBPyConnection) -> T:
            self._under_way = cursor
            try:
                if self._stopped:
                    raise ServiceClosedError
                return query(cursor)
            finally:
                self._under_way = None

        async with self._one_at_a_time:
            return await self._read(noted)

    def stop(self) -> None:
        """Break off the one that is under way, and begin none any more."""
        self._stopped = True
        if cursor := self._under_way:
            cursor.interrupt()
