"""Writes that are repeated until the store accepts them, and waiting for them with a limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError

logger = logging.getLogger(__name__)

RETRY_AFTER = 0.5
"""Seconds between two attempts of a write that the store refused."""

LONGEST_WAIT = 10.0
"""Seconds that a caller waits for a write that neither completes nor fails."""

_POLL = 0.1


class Writes:
    """Repeats refused writes. ``error`` is why the store refuses one now; None when it does not."""

    def __init__(self, retry_after: float = RETRY_AFTER) -> None:
        self._retry_after = retry_after
        self._errors: dict[object, str] = {}

    @property
    def error(self) -> str | None:
        """The error of the write that has been failing longest."""
        return next(iter(self._errors.values()), None)

    async def repeat(self, name: str, write: Callable[[], Awaitable[None]]) -> None:
        """Call ``write`` until it succeeds; whatever it raises is logged once, under ``name``."""
        key = object()
        try:
            while True:
                try:
                    return await write()
                except Exception as error:
                    if key not in self._errors:
                        unexpected = not isinstance(error, StoreUnavailableError)
                        logger.error("%s failed, retrying: %s", name, error, exc_info=unexpected)
                    self._errors[key] = str(error)
                await asyncio.sleep(self._retry_after)
        finally:
            self._errors.pop(key, None)

    async def wait_for(self, task: asyncio.Task[None], patience: float = 0.0) -> None:
        """Wait for a task that waits for writes; the task continues when this raises.

        Raises StoreUnavailableError with the reason when writes fail for longer than ``patience``
        seconds, ServiceClosedError when the task is cancelled.
        """
        now = asyncio.get_running_loop().time
        began = now()
        while not task.done():
            waited = now() - began
            if self.error and waited >= patience:
                raise StoreUnavailableError(f"Writes are failing: {self.error}")
            if waited >= LONGEST_WAIT:
                raise StoreUnavailableError("The database does not complete a write. Try again.")
            await asyncio.wait({task}, timeout=_POLL)
        if task.cancelled():
            raise ServiceClosedError
        task.result()
