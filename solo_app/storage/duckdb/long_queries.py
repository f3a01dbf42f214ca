"""Runs long queries one at a time, so that a reader thread remains available for short ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import duckdb

from solo_app.batches.errors import ServiceClosedError

T = TypeVar("T")

_INTERRUPT_INTERVAL = 0.01


class RunQuery(Protocol):
    """Runs a query on a reader thread, on its own cursor."""

    def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T], /) -> Awaitable[T]: ...


class LongQueries:
    """Runs one query at a time, until ``stop``."""

    def __init__(self, run_query: RunQuery) -> None:
        self._run_query = run_query
        self._turn = asyncio.Lock()
        self._active: duckdb.DuckDBPyConnection | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    async def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run a query. Raises ServiceClosedError if ``stop`` prevented or interrupted it."""

        def interruptible(cursor: duckdb.DuckDBPyConnection) -> T:
            with self._lock:
                if self._is_stopped:
                    raise ServiceClosedError
                self._active = cursor
            try:
                return query(cursor)
            except Exception as error:
                if self._is_stopped:
                    raise ServiceClosedError from error
                raise
            finally:
                with self._lock:
                    self._active = None

        async with self._turn:
            return await self._run_query(interruptible)

    def stop(self) -> None:
        """Interrupt the active query and reject new ones."""
        with self._lock:
            self._is_stopped = True
            if self._active is None:
                return
            self._active.interrupt()
        # An interruption between two statements has no effect. Repeat it until the query ends.
        asyncio.get_running_loop().call_later(_INTERRUPT_INTERVAL, self.stop)
