"""Intervals and timeouts of the service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """All values are in seconds."""

    commit_delay: float = 0.03
    """Time from the first new point to its commit. Limits the number of disk syncs per second. Too
    short to notice. A waiting caller or a full buffer triggers an immediate flush."""

    store_check_interval: float = 2.0
    """Time without points after which an empty commit checks that the store is writable."""

    retry_interval: float = 0.5
    """Time between two attempts of a failing write."""

    write_timeout: float = 10.0
    """Maximum time that a caller waits for a write that neither completes nor fails."""

    stop_grace_period: float = 2.0
    """Time after which ``stop`` and ``push`` raise if writes are failing. Once writes succeed, the
    batch becomes ``stopped``, or the points are stored."""

    restart_delay: float = 1.0
    """Time before the first restart of a source that raised. It doubles with each restart."""

    max_restart_delay: float = 60.0
    """Maximum time before a restart."""

    restart_reset: float = 60.0
    """Time since the first number of an attempt after which a failure resets the delay."""

    log_delay: float = 1.0
    """Time between two writes of new log lines."""

    cancel_timeout: float = 3.0
    """Time limit for a source to end after its cancellation. It includes the 2 s after which a
    program that ignores SIGTERM is killed."""

    shutdown_cancel_timeout: float = 0.5
    """The same during shutdown, so that the ends of all runs can be recorded in time."""

    shutdown_timeout: float = 1.2
    """Time limit for all runs to end during shutdown."""

    close_timeout: float = 0.5
    """Time limit for the store to close if the last writes did not complete."""


DEFAULT_TIMING = Timing()
