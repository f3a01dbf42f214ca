"""How late an event loop is: a process that is watched notes it, whoever watches reads it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.pauses import Pause, waited_for_processor, within

VARIABLE = "BENCH_LAGS"
"""The variable that names the file: a line of JSON for every ten seconds."""

_EVERY = 10.0
_BEAT = 0.01
_LONG = 5.0
"""Milliseconds; of a longer lag it is noted too when it ended and what its thread waited for."""


@dataclass(frozen=True, slots=True)
class Beats:
    """The lags of a heartbeat in some ten seconds, in milliseconds.

    Of each that is ``long``: when it ended (seconds of the clock that never jumps), how long it
    was, and for how much of it and of its beat the thread waited for a processor.
    """

    late: list[float]
    long: list[tuple[float, float, float]]

    def longest_own(self, pauses: Iterable[Pause]) -> float:
        """The longest lag, without the pauses of the machine, or without the wait for a
        processor, whichever is more: a pause may be counted as such a wait."""
        own = [lag for lag in self.late if lag <= _LONG]
        for ended, lag, waited in self.long:
            paused = 1000 * within(pauses, ended - lag / 1000, ended)
            own.append(max(0.0, lag - max(waited, paused)))
        return max(own)


async def note(file: Path) -> None:
    """Ask to be woken every 10 ms for ever, and note how late it was each time."""
    beats = Beats([], [])
    told = time.monotonic()
    while True:
        waited, began = waited_for_processor(), time.monotonic()
        await asyncio.sleep(_BEAT)
        woke = time.monotonic()
        lag = round((woke - began - _BEAT) * 1000, 3)
        beats.late.append(lag)
        if lag > _LONG:
            beats.long.append((woke, lag, 1000 * (waited_for_processor() - waited)))
        if woke - told >= _EVERY:
            with file.open("a") as lines:
                lines.write(json.dumps([beats.late, beats.long]) + "\n")
            beats = Beats([], [])
            told = woke


def noted(file: Path) -> list[Beats]:
    """What was noted in a file, ten seconds by ten seconds."""
    whole_lines = file.read_text().split("\n")[:-1]  # The last may be written just now.
    return [Beats(*json.loads(line)) for line in whole_lines]
