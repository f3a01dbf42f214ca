"""Run the benchmarks and tell what they found."""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from bench import soak
from bench.figures import Figure, NotMeasuredError
from bench.machine import described
from bench.progress import say
from bench.registry import BENCHMARKS
from bench.report import Result, table, write_page
from bench.scale import Scale
from tests.helpers.running_app import PROJECT

PAGE = PROJECT / "docs" / "performance.md"
SOAK = "soak"
SOAK_MINUTES = 30
"""A soak that was shorter does not replace one that was not."""

_BROKE = "broke: "


def main() -> int:
    """Run what the command line asks for; 1 when a benchmark broke."""
    asked = _asked()
    if asked.list:
        abouts = _abouts()
        width = max(map(len, abouts))
        for name, about in abouts.items():
            print(f"{name:{width}} {about}")
        return 0
    began, machine = time.monotonic(), described()
    results = [_run(name, asked) for name in asked.names or BENCHMARKS]
    print(table(results))
    if part := _part(asked, results):
        write_page(PAGE, part, results, time.monotonic() - began, machine)
        say(f"written to {PAGE.relative_to(PROJECT)}")
    return 1 if _broke(results) else 0


def _broke(results: Sequence[Result]) -> bool:
    return any(result.missing.startswith(_BROKE) for result in results)


def _part(asked: argparse.Namespace, results: Sequence[Result]) -> str | None:
    """Which part of the page is written anew, if this was the whole of it."""
    if _broke(results):
        return None
    if asked.names == [SOAK]:
        return SOAK if asked.minutes >= SOAK_MINUTES else None
    return None if asked.quick or asked.names else "run"


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="only these (see --list)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    parser.add_argument(
        "--minutes", type=float, default=SOAK_MINUTES, help="how long `soak` goes on"
    )
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in _abouts()]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}; see --list")
    return asked


def _abouts() -> dict[str, str]:
    assert soak.__doc__
    abouts = {name: benchmark.about for name, benchmark in BENCHMARKS.items()}
    return {**abouts, SOAK: soak.__doc__.splitlines()[0]}


def _measure(name: str, asked: argparse.Namespace) -> Callable[[], Sequence[Figure]]:
    if name == SOAK:
        return lambda: soak.measure(asked.minutes)
    scale = Scale.QUICK if asked.quick else Scale.FULL
    return lambda: BENCHMARKS[name].measure(scale)


def _run(name: str, asked: argparse.Namespace) -> Result:
    about = _abouts()[name]
    say(f"{name}: {about}")
    try:
        return Result(name, about, _measure(name, asked)())
    except NotMeasuredError as reason:
        missing = str(reason)
    except Exception as error:  # The others are still worth measuring.
        traceback.print_exc()
        missing = f"{_BROKE}{type(error).__name__}: {error}"
    say(f"{name}: not measured, {missing}")
    return Result(name, about, missing=missing)


def _end(number: int, _: object) -> NoReturn:
    """End as Ctrl-C does, so that whatever was started is ended too; once is enough."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    sys.exit(main())
