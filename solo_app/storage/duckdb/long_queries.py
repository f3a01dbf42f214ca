"""Runs long queries one at a time, so that a reader thread stays free for short ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from solo_app.batches.errors import ServiceClosedError

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_INTERRUPT_INTERVAL = 0.01


class RunQuery(Protocol):
    """Runs a query on a reader thread, on a cursor of its own."""

    def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T], /) -> Awaitable[T]: ...


class LongQueries:
    """Runs queries like ``RunQuery``, but one after the other."""

    def __init__(self, read: RunQuery) -> None:
        self._read = read
        self._one_at_a_time = asyncio.Lock()
        self._active: duckdb.DuckDBPyConnection | None = None
        self._stopped = False
        self._change = threading.Lock()

    async def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run a query. Raises ServiceClosedError after ``stop``, also if that interrupted it."""

        def interruptible(cursor: duckdb.DuckDBPyConnection) -> T:
            with self._change:
                if self._stopped:
                    raise ServiceClosedError
                self._active = cursor
            try:
                return query(cursor)
            except Exception as error:
                if self._stopped:
                    raise ServiceClosedError from error
                raise
            finally:
                with self._change:
                    self._active = None

        async with self._one_at_a_time:
            return await self._read(interruptible)

    def stop(self) -> None:
        """Interrupt the active query and reject new ones."""
        with self._change:
            self._stopped = True
            if self._active is None:
                return
            self._active.interrupt()
        # An interruption between two statements has no effect, so repeat it until the query ends.
        asyncio.get_running_loop().call_later(_INTERRUPT_INTERVAL, self.stop)
