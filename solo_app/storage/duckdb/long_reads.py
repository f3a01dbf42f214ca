"""Reads that take long: one at a time, so that a reader thread stays free for the pages."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from solo_app.batches.errors import ServiceClosedError

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_AGAIN_AFTER = 0.01
"""Seconds from one attempt at breaking off to the next."""


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
        self._change = threading.Lock()

    async def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Raises ServiceClosedError once they are stopped."""

        def noted(cursor: duckdb.DuckDBPyConnection) -> T:
            with self._change:
                if self._stopped:
                    raise ServiceClosedError
                self._under_way = cursor
            try:
                return query(cursor)
            finally:
                with self._change:
                    self._under_way = None

        async with self._one_at_a_time:
            return await self._read(noted)

    def stop(self) -> None:
        """Break off the one that is under way, and begin none any more."""
        with self._change:
            self._stopped = True
        self._break_off()

    def _break_off(self) -> None:
        with self._change:
            if self._under_way is None:
                return
            self._under_way.interrupt()
        # What falls between two queries is felt by none of them: again, until it has ended.
        asyncio.get_running_loop().call_later(_AGAIN_AFTER, self._break_off)
