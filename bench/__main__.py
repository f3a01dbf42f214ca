"""``python -m bench``: run the benchmarks and tell what they found."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from bench.figures import NotMeasuredError
from bench.progress import say
from bench.registry import BENCHMARKS, Benchmark
from bench.report import Result, table, write_page
from bench.scale import Scale
from tests.running_app import PROJECT

PAGE = PROJECT / "docs" / "performance.md"


def main() -> int:
    """Run what the command line asks for; 1 when a benchmark broke."""
    asked = _asked()
    if asked.list:
        for benchmark in BENCHMARKS.values():
            print(f"{benchmark.name:12} {benchmark.about}")
        return 0
    scale = Scale.QUICK if asked.quick else Scale.FULL
    began = time.monotonic()
    results = [_run(BENCHMARKS[name], scale) for name in asked.names or BENCHMARKS]
    print(table(results))
    if scale is Scale.FULL and not asked.names:
        write_page(PAGE, results, time.monotonic() - began)
        say(f"written to {PAGE.relative_to(PROJECT)}")
    return 1 if any(result.missing.startswith("broke") for result in results) else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="only these (see --list)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}; see --list")
    return asked


def _run(benchmark: Benchmark, scale: Scale) -> Result:
    say(f"{benchmark.name}: {benchmark.about}")
    try:
        return Result(benchmark.name, benchmark.about, benchmark.measure(scale))
    except NotMeasuredError as reason:
        missing = str(reason)
    except Exception as error:  # The others are still worth measuring.
        traceback.print_exc()
        missing = f"broke: {type(error).__name__}: {error}"
    say(f"{benchmark.name}: not measured, {missing}")
    return Result(benchmark.name, benchmark.about, missing=missing)


if __name__ == "__main__":
    sys.exit(main())
