"""Tells who holds the event loop up: a source that blocks instead of awaiting stops everybody.

The pages cannot tell it, since they wait too; the log can, from a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that the loop may stand still before it is told, once for each standstill."""

_LOOKS = 8
"""Looks within ``PATIENCE``. They are counted instead of seconds: of a machine that was frozen
nobody is to blame."""


class _Watchdog:
    """Watches the loop that it was made on: it must beat from each look to the next."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread_of_loop = threading.get_ident()
        self._over = threading.Event()
        self._has_beaten = True

    def watch(self) -> None:
        """Look until it is over; blocks."""
        missed = 0
        while not self._over.wait(PATIENCE / _LOOKS):
            if self._has_beaten:
                missed, self._has_beaten = 0, False
                self._loop.call_soon_threadsafe(self._beat)
            else:
                missed += 1
                if missed == _LOOKS:
                    logger.warning("Everything stands still because of %s", self._culprit())

    def end(self) -> None:
        """Have ``watch`` return."""
        self._over.set()

    def _beat(self) -> None:
        self._has_beaten = True

    def _culprit(self) -> str:
        """The task that runs at this moment, and where it is."""
        task = asyncio.current_task(self._loop)
        name = f"the task '{task.get_name()}'" if task else "the event loop itself"
        frame = sys._current_frames().get(self._thread_of_loop)
        where = "".join(traceback.format_stack(frame)[-3:]) if frame else ""
        return f"{name}, which does not await:\n{where}".rstrip()


@contextmanager
def watched_loop() -> Iterator[None]:
    """Watch the running event loop as long as the block lasts."""
    watchdog = _Watchdog()
    thread = threading.Thread(target=watchdog.watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watchdog.end()
