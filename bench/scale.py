"""How much a run measures: all of it, or just enough to see that everything works."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

T = TypeVar("T")


class Scale(Enum):
    """``QUICK``: all benchmarks together in under two minutes. ``FULL``: in under fifteen."""

    QUICK = "quick"
    FULL = "full"

    def pick(self, quick: T, full: T) -> T:
        """The one of two values that is meant for this scale."""
        return quick if self is Scale.QUICK else full
