"""What a browser shows of the ticks that a tab was sent: ``assets/solo.js`` in Python, short.

It joins as the browser does, and it never asks for what it missed: a test sees every delta.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from solo_app.ui.states.watch import CHART_POINTS
from tests.ui.tabs import Tabs

LAST_SEQ, WHOLE, KEYS = 2, 3, 5
"""Where a tick of a batch's page tells them."""


def ticks_of(tabs: Tabs, tab: str) -> list[list[Any]]:
    """The ticks that a tab was sent, in order."""
    return [
        changed["tick_rx_state_"]
        for delta in tabs.deltas[tab]
        for changed in delta.values()
        if "tick_rx_state_" in changed and changed["tick_rx_state_"][0]
    ]


class Line:
    """The newest points of a batch: ``seq``, time (microseconds) and number of each."""

    def __init__(self) -> None:
        self.points: list[tuple[int, int, float]] = []
        self.at = 0

    def take(self, tick: list[Any]) -> None:
        """Join what a tick tells; AssertionError when there is a gap before it."""
        self.at, _, last, whole, steps, keys = tick
        if not steps:
            assert whole or last == self.last_seq
            return
        times = accumulate(steps[1:], initial=self.at * 1000 + steps[0])
        first = last - len(keys) + 1
        news = list(zip(range(first, last + 1), times, keys, strict=True))
        assert whole or first == self.last_seq + 1, f"{first} comes after {self.last_seq}"
        self.points = ([] if whole else self.points) + news
        self.points = self.points[-CHART_POINTS:]

    @property
    def last_seq(self) -> int:
        """The highest ``seq`` told, 0 before any."""
        return self.points[-1][0] if self.points else 0


def line(tabs: Tabs, tab: str) -> Line:
    """What a tab shows after all ticks that it was sent."""
    shown = Line()
    for tick in ticks_of(tabs, tab):
        shown.take(tick)
    return shown
