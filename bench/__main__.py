"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from typing import NoReturn

from bench import command, ingest, live_pages, push, queries, soak, start, streams
from bench.report import DOCUMENT, Table, describe_run, write_document

BENCHMARKS = {
    "ingest": ingest,
    "push": push,
    "command": command,
    "queries": queries,
    "streams": streams,
    "live_pages": live_pages,
    "start": start,
}
SOAK = "soak"

logger = logging.getLogger("bench")


def main() -> None:
    """Run the selected benchmarks, print their tables, and update the document.

    Only a full run of all benchmarks, or of the soak, updates its part of the document.
    """
    options = _parse_options()
    began = time.monotonic()
    tables: list[Table] = []
    for name in options.names or BENCHMARKS:
        measured = (
            soak.measure(options.minutes)
            if name == SOAK
            else BENCHMARKS[name].measure(options.quick)
        )
        print(*measured, sep="\n")
        tables += measured
    part = {(): "run", (SOAK,): SOAK}.get(tuple(options.names))
    if part and not options.quick:
        write_document(DOCUMENT, part, tables, describe_run(time.monotonic() - began))
        logger.info("Updated %s", DOCUMENT)


def _parse_options() -> argparse.Namespace:
    names = [*BENCHMARKS, SOAK]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="one round with small sizes")
    parser.add_argument("--minutes", type=float, default=30, help="duration of the soak")
    options = parser.parse_args()
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}; see --help")
    return options


def _exit(number: int, _: object) -> NoReturn:
    """Exit as on Ctrl-C, so that all started processes are ended."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main()
