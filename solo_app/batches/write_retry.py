"""Retries of writes until they succeed, and waiting for them with a time limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.timing import Timing

logger = logging.getLogger(__name__)

_POLL_INTERVAL = 0.1


class WriteRetry:
    """Retries failing writes. ``error`` is the current error, None if no write is failing."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._errors: dict[object, str] = {}

    @property
    def error(self) -> str | None:
        """The error of the write that has been failing the longest."""
        return next(iter(self._errors.values()), None)

    async def run(self, name: str, write: Callable[[], Awaitable[None]]) -> None:
        """Call ``write`` until it succeeds. Logs only the first error, with ``name``."""
        key = object()
        try:
            while True:
                try:
                    return await write()
                except Exception as error:
                    if key not in self._errors:
                        is_unexpected = not isinstance(error, StoreUnavailableError)
                        logger.error("%s failed, retrying: %s", name, error, exc_info=is_unexpected)
                    self._errors[key] = str(error)
                await asyncio.sleep(self._timing.retry_interval)
        finally:
            self._errors.pop(key, None)

    async def wait_for(self, task: asyncio.Task[None], grace_period: float = 0.0) -> None:
        """Wait for a task that waits for writes. If this raises, the task continues.

        Raises StoreUnavailableError if writes are failing after ``grace_period`` seconds or the
        task exceeds the write timeout, and ServiceClosedError if the task is cancelled.
        """
        now = asyncio.get_running_loop().time
        started = now()
        while not task.done():
            waited = now() - started
            if self.error and waited >= grace_period:
                raise StoreUnavailableError(f"Writes are failing: {self.error}")
            if waited >= self._timing.write_timeout:
                raise StoreUnavailableError(
                    "The database does not complete a write. Check its disk."
                )
            await asyncio.wait({task}, timeout=_POLL_INTERVAL)
        if task.cancelled():
            raise ServiceClosedError
        task.result()

    async def limit(self, wait: Coroutine[Any, Any, None], grace_period: float = 0.0) -> None:
        """Wait like ``wait_for``, but for a coroutine, which is cancelled if this raises."""
        task = asyncio.create_task(wait)
        try:
            await self.wait_for(task, grace_period)
        finally:
            task.cancel()
