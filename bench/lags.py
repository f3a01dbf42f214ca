"""How late an event loop is: a process that is watched notes it, whoever watches reads it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from bench.pauses import Pause, at_once, running_on, waited_for_processor, within

VARIABLE = "BENCH_LAGS"
"""The variable that names the file: a line of JSON for every ``EVERY`` seconds."""

EVERY = 10.0
_BEAT = 0.01
_LONG = 5.0
"""Milliseconds; of a longer lag it is noted too when it ended, where, and what it waited for."""


@dataclass(frozen=True, slots=True)
class Beats:
    """The lags of a heartbeat from one moment to another (seconds of the clock that never jumps).

    Lags are in milliseconds. Of each that is ``long``: when it ended, how long it was, for how much
    of it and of its beat the thread waited for a processor, and on which one it was before the beat
    and after the lag, where that is the same.
    """

    began: float
    ended: float
    late: Sequence[float]
    long: Sequence[tuple[float, float, float, int | None]]

    def longest_without_pauses(self, pauses: Sequence[Pause]) -> float:
        """The longest lag, each without the pauses of the machine that fell into it."""
        return self._longest(_without(pauses, ended, lag) for ended, lag, *_ in self.long)

    def longest_without_pauses_of_its_processor(
        self, pauses: Mapping[int, Sequence[Pause]]
    ) -> float:
        """The longest lag, each without the pauses of the processor that the loop was on.

        Where that is not the same before and after, only what all of them had is left out.
        """
        of_all = at_once(list(pauses.values()))
        return self._longest(
            _without(of_all if on is None else pauses.get(on, of_all), ended, lag)
            for ended, lag, _, on in self.long
        )

    def longest_without_waits(self) -> float:
        """The longest lag, each without as much waiting for a processor as surely lies in it."""
        return self._longest(
            lag - max(0.0, waited - 1000 * _BEAT) for _, lag, waited, _ in self.long
        )

    def _longest(self, left_of_long: Iterable[float]) -> float:
        return max(0.0, *left_of_long, *(lag for lag in self.late if lag <= _LONG))


def _without(pauses: Sequence[Pause], ended: float, lag: float) -> float:
    return lag - 1000 * sum(within(pauses, ended - lag / 1000, ended))


async def note(file: Path) -> None:
    """Ask to be woken every 10 ms for ever, and note how late it was each time."""
    ended = time.monotonic()
    while True:
        beats = await _beats(began=ended)
        ended = beats.ended
        with file.open("a") as lines:
            lines.write(json.dumps(astuple(beats)) + "\n")


async def _beats(began: float) -> Beats:
    late: list[float] = []
    long: list[tuple[float, float, float, int | None]] = []
    woke = began
    while woke - began < EVERY:
        was_on, waited, slept = running_on(), waited_for_processor(), time.monotonic()
        await asyncio.sleep(_BEAT)
        woke = time.monotonic()
        late.append(round((woke - slept - _BEAT) * 1000, 3))
        if late[-1] > _LONG:
            waited = waited_for_processor() - waited
            is_on = running_on()
            long.append((woke, late[-1], 1000 * waited, is_on if is_on == was_on else None))
    return Beats(began, woke, late, long)


def noted(file: Path) -> list[Beats]:
    """What was noted in a file, ten seconds by ten seconds."""
    whole_lines = file.read_text().split("\n")[:-1]  # The last may be written just now.
    return [Beats(*json.loads(line)) for line in whole_lines]
