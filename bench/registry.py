"""The benchmarks by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from bench import (
    asking,
    first_start,
    ingest,
    live_pages,
    point_to_screen,
    restart,
    streams,
)
from bench.figures import Figure
from bench.scale import Scale


@dataclass(frozen=True, slots=True)
class Benchmark:
    """``measure`` gives the figures; raises NotMeasuredError where it cannot."""

    name: str
    about: str
    measure: Callable[[Scale], list[Figure]]


def _benchmark(name: str, module: ModuleType) -> Benchmark:
    assert module.__doc__
    return Benchmark(name, module.__doc__.splitlines()[0], module.measure)


BENCHMARKS = {
    name: _benchmark(name, module)
    for name, module in {
        "ingest": ingest,
        "asking": asking,
        "streams": streams,
        "live-pages": live_pages,
        "point-to-screen": point_to_screen,
        "restart": restart,
        "first-start": first_start,
    }.items()
}
