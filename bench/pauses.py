"""Pauses of the machine: times in which none of its processors runs anything.

A virtual machine is held up by its host now and then, which is not always counted as steal; only
the clock tells. So a process on each processor does nothing but sleep for a moment and see how
late it wakes, as jHiccup does for one (https://github.com/giltene/jHiccup).
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_STEP = 0.002
_LEAST = 0.001
"""Seconds; to wake is no later than that on a machine that runs."""


@dataclass(frozen=True, slots=True)
class Pause:
    """From when to when, in seconds of the clock that never jumps."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.began


def processors() -> Sequence[int]:
    """Those that this process may run on; none where the system has no way to choose one."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def oversleep(processor: int, seconds: float) -> list[Pause]:
    """Sleep on a processor for so long; gives when a sleep was longer than it should have been.

    Meant for a process of its own. Where the system allows, no other program comes before it;
    elsewhere the time is left out for which it waited for the processor.
    """
    gc.disable()
    os.sched_setaffinity(0, {processor})
    comes_first = _comes_first()
    pauses = []
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        waited = waited_for_processor()
        time.sleep(_STEP)
        woke, due = time.monotonic(), now + _STEP
        if not comes_first:
            due += waited_for_processor() - waited
        if woke - due > _LEAST:
            pauses.append(Pause(due, woke))
    return pauses


def _comes_first() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    return True


def waited_for_processor() -> float:
    """Seconds that this thread, ready to run, has waited for a processor; 0 where the system does
    not tell. https://docs.kernel.org/scheduler/sched-stats.html
    """
    try:
        told = Path("/proc/thread-self/schedstat").read_text()
    except OSError:
        return 0.0
    return int(told.split()[1]) / 1e9


def at_once(watched: Sequence[Iterable[Pause]]) -> list[Pause]:
    """The times in which all of them paused; none of none."""
    common = list(watched[0]) if watched else []
    for pauses in watched[1:]:
        others = list(pauses)
        common = [
            Pause(max(one.began, other.began), min(one.ended, other.ended))
            for one in common
            for other in others
            if one.began < other.ended and other.began < one.ended
        ]
    return common


def within(pauses: Iterable[Pause], began: float, ended: float) -> float:
    """How many seconds of a time were pauses."""
    return sum(max(0.0, min(p.ended, ended) - max(p.began, began)) for p in pauses)
