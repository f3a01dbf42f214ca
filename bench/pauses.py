"""Pauses of the machine: times in which none of its processors runs what is ready to run.

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

_WAITS = Path("/proc/thread-self/schedstat")
_STATE = Path("/proc/thread-self/stat")
_MOST = 8
"""Processors that are watched; no more, as each costs two percent of a core."""

_STEP = 0.004
_LEAST = 0.001
"""Seconds; to wake is no later than that on a machine that runs."""

_LOOKS_AFTER = 500
"""Steps between two looks whether to go on."""


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
    """Those to be watched; none where the system does not let pauses be told from waits."""
    if not (hasattr(os, "sched_getaffinity") and _WAITS.exists()):
        return []
    return sorted(os.sched_getaffinity(0))[:_MOST]


def oversleep(processor: int, going_on: Path) -> list[Pause]:
    """Sleep on a processor as long as a file is there; gives when a sleep was too long.

    Meant for a process of its own. Where the system allows, no other program comes before it;
    elsewhere the time is left out for which it waited for the processor.
    """
    gc.disable()
    os.sched_setaffinity(0, {processor})
    comes_first = _comes_first()
    pauses: list[Pause] = []
    while going_on.exists():
        for _ in range(_LOOKS_AFTER):
            waited = 0.0 if comes_first else waited_for_processor()
            due = time.monotonic() + _STEP
            time.sleep(_STEP)
            woke = time.monotonic()
            waited = 0.0 if comes_first else waited_for_processor() - waited
            pauses += _pause(due, woke, waited)
    return pauses


def _pause(due: float, woke: float, waited: float) -> list[Pause]:
    """The pause, if there was one, before who should have woken when ``due`` waited so long."""
    pause = Pause(due, woke - waited)
    return [pause] if pause.seconds > _LEAST else []


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
        told = _WAITS.read_text()
    except OSError:
        return 0.0
    return int(told.split()[1]) / 1e9


def running_on() -> int | None:
    """The processor on which this thread runs; nothing where the system does not tell.
    https://docs.kernel.org/filesystems/proc.html
    """
    try:
        told = _STATE.read_text()
    except OSError:
        return None
    after_name = told.rpartition(")")[2].split()  # The third field and on; a name may have spaces.
    return int(after_name[39 - 3])


def at_once(watched: Sequence[Sequence[Pause]]) -> list[Pause]:
    """The times in which all of them paused, each of them in order; none of none."""
    common = list(watched[0]) if watched else []
    for others in watched[1:]:
        common = _common(common, others)
    return common


def _common(some: Sequence[Pause], others: Sequence[Pause]) -> list[Pause]:
    common = []
    i = j = 0
    while i < len(some) and j < len(others):
        one, other = some[i], others[j]
        both = Pause(max(one.began, other.began), min(one.ended, other.ended))
        if both.seconds > 0:
            common.append(both)
        i, j = (i + 1, j) if one.ended < other.ended else (i, j + 1)
    return common


def within(pauses: Iterable[Pause], began: float, ended: float) -> list[float]:
    """How many seconds of each pause lie in a time, where any do."""
    parts = (min(p.ended, ended) - max(p.began, began) for p in pauses)
    return [part for part in parts if part > 0]
