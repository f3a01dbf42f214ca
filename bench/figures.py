"""A figure: one thing measured in several rounds, what it should reach, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Better = Literal["more", "less"]


class NotMeasuredError(Exception):
    """A benchmark cannot run here; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing.

    ``rounds`` holds one value per round in ``unit``, and ``template`` those of the template's way
    in the same run, empty where it has nothing like it. ``better`` says which way is better.
    ``note`` is what a reader must know about how it was measured. Where the rounds are moments of
    one long run, ``minutes`` says when each of them was, from the run's begin.
    """

    what: str
    unit: str
    rounds: Sequence[float]
    better: Better = "less"
    targets: tuple[Target, ...] = ()
    template: Sequence[float] = ()
    note: str = ""
    minutes: Sequence[float] = ()

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest round."""
        return min(self.rounds), max(self.rounds)

    @property
    def template_median(self) -> float | None:
        """The middle of the rounds of the template's way."""
        return median(self.template) if self.template else None

    @property
    def ratio(self) -> float | None:
        """How many times better than the template's way; below 1 it is worse."""
        other = self.template_median
        if other is None:
            return None
        large, small = (self.median, other) if self.better == "more" else (other, self.median)
        return large / small if small else None

    @property
    def reached(self) -> bool | None:
        """Whether every target is met; None without any."""
        return all(target.met(self) for target in self.targets) if self.targets else None


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should reach, in words and as a check."""

    text: str
    met: Callable[[Figure], bool]


def under(limit: float, unit: str = "") -> Target:
    """The median lies under a limit, in the figure's unit; ``unit`` is only said."""
    return Target(f"under {told(limit)}{unit and ' ' + unit}", lambda figure: figure.median < limit)


def always_under(limit: float, unit: str = "") -> Target:
    """Even the highest round lies under a limit."""
    return Target(f"always {under(limit, unit).text}", lambda figure: figure.spread[1] < limit)


def all_of_them() -> Target:
    """Every round is 100 percent."""
    return Target("all", lambda figure: figure.spread[0] == 100)


def at_least(limit: float, unit: str = "") -> Target:
    """The median is a limit or more, in the figure's unit; ``unit`` is only said."""
    return Target(f"{told(limit)}{unit and ' ' + unit}", lambda figure: figure.median >= limit)


def times_the_template(times: float) -> Target:
    """So many times better than the template's way; not met where that was not measured."""
    return Target(
        f"{told(times)} times the template's way", lambda figure: (figure.ratio or 0) >= times
    )


def told(value: float) -> str:
    """A number as a person reads it: three digits that matter, thousands apart."""
    size = abs(value)
    if value == int(value) or size >= 100:
        return f"{value:,.0f}".replace(",", " ")
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3g}"
