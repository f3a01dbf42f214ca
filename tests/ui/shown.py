"""What a browser shows of the ticks that a tab was sent: ``assets/solo/ticks.js`` in Python, short.

It joins as the browser does, and it never asks for what it missed: a test sees every delta.
"""

from __future__ import annotations

from copy import copy
from itertools import accumulate
from typing import Any
from weakref import WeakKeyDictionary

from solo_app.batches.model import STEP_US
from solo_app.ui.states.watch import NEWEST_POINTS
from tests.ui.tabs import Tabs

LAST_SEQ, WHOLE, KEYS, COUNT, AFTER = 2, 3, 5, 6, 7
"""Where a tick of a batch's page tells them."""

SPAN_US = 60_000_000


def ticks_of(tabs: Tabs, tab: str) -> list[list[Any]]:
    """The ticks that a tab was sent so far, in order."""
    return list(tabs.ticks_of[tab])


class Shown:
    """The newest points of a batch, each as ``seq``, time and number, and the line of the last
    minute, each vertex as time and number. Times in microseconds.
    """

    def __init__(self) -> None:
        self.points: list[tuple[int, int, float]] = []
        self.line: list[tuple[int, float | None]] = []
        self.at = 0
        self.count: int | None = 0
        self.last_seq = 0

    def take(self, tick: list[Any]) -> None:
        """Join what a tick tells; AssertionError when there is a gap before it."""
        ms, _, last, whole, steps, keys, self.count, *drawn = tick
        self.at = ms * 1000
        first = last - len(keys) + 1
        seqs = whole if isinstance(whole, list) else range(first, last + 1)
        news = list(zip(seqs, self._times(steps), keys, strict=True))
        if drawn:
            after, steps, keys = drawn
            assert after <= self.last_seq, f"the line is told after {after}"
            self._draw(list(zip(self._times(steps), keys, strict=True)), whole=not after)
        else:
            assert first <= self.last_seq + 1, f"{first} comes after {self.last_seq}"
            self.line += [(ts, key) for _, ts, key in news]
        assert whole or first == self.last_seq + 1, f"{first} comes after {self.last_seq}"
        self.points = (([] if whole else self.points) + news)[-NEWEST_POINTS:]
        self.last_seq = last
        while len(self.line) > 1 and self.line[1][0] <= self.at - SPAN_US:
            del self.line[0]

    def copy(self) -> Shown:
        """The same, that stays as it is."""
        same = copy(self)
        same.line = self.line.copy()
        return same

    @property
    def steps(self) -> dict[int, list[float | None]]:
        """The numbers of the line's vertices by the step that they are of."""
        found: dict[int, list[float | None]] = {}
        for ts, key in self.line:
            found.setdefault(ts // STEP_US, []).append(key)
        return found

    def _times(self, steps: list[int]) -> list[int]:
        return list(accumulate([self.at + steps[0], *steps[1:]])) if steps else []

    def _draw(self, news: list[tuple[int, float | None]], whole: bool) -> None:
        start = news[0][0] // STEP_US if news else 0
        kept = [] if whole else [v for v in self.line if not news or v[0] // STEP_US < start]
        self.line = kept + news


_joined: WeakKeyDictionary[Tabs, dict[str, tuple[Shown, int]]] = WeakKeyDictionary()
"""What each tab shows after so many of its ticks: those who wait ask a thousand times a second."""


def shown(tabs: Tabs, tab: str) -> Shown:
    """What a tab shows after all ticks that it was sent."""
    joined = _joined.setdefault(tabs, {})
    seen, taken = joined.get(tab, (Shown(), 0))
    ticks = tabs.ticks_of[tab]
    for tick in ticks[taken:]:
        seen.take(tick)
    joined[tab] = seen, len(ticks)
    return seen.copy()
