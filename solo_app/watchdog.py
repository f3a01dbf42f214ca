"""Logs what blocks the event loop. A source that does not await stops every batch and page.

The pages cannot report it because they are blocked too, so a separate thread logs it.
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

BLOCKED_AFTER = 2.0
"""Seconds without an iteration after which the loop counts as blocked, which is logged once."""

_CHECKS = 8
"""Number of checks within ``BLOCKED_AFTER``. Counting checks instead of seconds excludes the time
during which the machine was suspended."""


class _Watchdog:
    """Watches the running loop: a scheduled callback must run between two checks."""

    def __init__(self, blocked_after: float) -> None:
        self._blocked_after = blocked_after
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self._has_run = True

    def watch(self) -> None:
        """Check until ``stop`` is called. Runs in a thread."""
        missed = 0
        while not self._stopped.wait(self._blocked_after / _CHECKS):
            if self._has_run:
                missed, self._has_run = 0, False
                self._loop.call_soon_threadsafe(self._record_run)
            else:
                missed += 1
                if missed == _CHECKS:
                    logger.warning(
                        "Event loop blocked for %g s by %s", self._blocked_after, self._task()
                    )

    def stop(self) -> None:
        """Make ``watch`` return."""
        self._stopped.set()

    def _record_run(self) -> None:
        self._has_run = True

    def _task(self) -> str:
        """Return the name of the current task and the innermost lines of its stack."""
        task = asyncio.current_task(self._loop)
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 (a documented function)
        stack = "".join(traceback.format_stack(frame)[-3:]) if frame else ""
        return f"{task.get_name() if task else 'a callback'}:\n{stack}".rstrip()


@contextmanager
def watch_loop(blocked_after: float = BLOCKED_AFTER) -> Iterator[None]:
    """Log what blocks the running event loop for ``blocked_after`` seconds inside the block."""
    watchdog = _Watchdog(blocked_after)
    thread = threading.Thread(target=watchdog.watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watchdog.stop()
