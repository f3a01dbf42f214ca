"""Soak: 100 000 rows/s with 50 pages and 50 streams; memory, files and lag as time goes on.

A command of its own, ``python -m bench soak --minutes 30``: it takes too long for a run of all.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean

import httpx

from bench import lags, page_clients, pauses, rows, stream_readers
from bench.app import Usage, files_of, running_app
from bench.figures import Figure, NotMeasuredError, all_of_them, always_under, at_least, told, under
from bench.lags import Beats
from bench.page_clients import Watched
from bench.pauses import Pause
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.stream_readers import Read
from tests.running_app import RunningApp

STREAMS, PAGES = 50, 50
_LOOK_EVERY = 10.0
_SETTLE = 5.0
_MEBIBYTE = 2**20
_PAUSES = (
    "A pause is a time in which no processor of the machine ran anything: on each of them a "
    "process slept, 2 ms at a time and at a real-time priority where the system allows that, and "
    "all woke late. A lag of its own is what is left of one without such pauses, or without the "
    "time for which the loop's thread waited for a processor, whichever is more."
)
_PATHS = ("/", *(f"/batch/{name}" for name in rows.NAMES))


@dataclass(frozen=True, slots=True)
class Look:
    """How things stood at one moment."""

    at: float
    row_count: int
    memory: float
    files: int
    share_of_core: float


def measure(minutes: float) -> list[Figure]:
    """Run the app for so long and look at it every ten seconds."""
    seconds = minutes * 60
    if seconds < 6 * _LOOK_EVERY:
        raise NotMeasuredError("a soak takes a minute at least")
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        reading, watching = (stack.enter_context(own_process()) for _ in range(2))
        sleeping = [(stack.enter_context(own_process()), on) for on in pauses.processors()]
        lag_file = place / "lags.jsonl"
        settings = {"REFLEX_APP_MODULE_IMPORT": "bench.soak_app", lags.VARIABLE: str(lag_file)}
        database = place / "app.duckdb"
        with running_app(place, database, settings) as app:
            slept = [each.submit(pauses.oversleep, on, seconds) for each, on in sleeping]
            for name in rows.NAMES:
                httpx.post(f"{app.api}/stream/{name}").raise_for_status()
            port, calm = app.backend_port, rows.NAMES[:1]
            read = reading.submit(stream_readers.read, port, calm, STREAMS, _SETTLE, seconds)
            watched = watching.submit(page_clients.watch, port, _PATHS, PAGES, _SETTLE, seconds)
            looks = _watch(app, database, seconds)
            paused = pauses.at_once([each.result() for each in slept])
            beats = lags.noted(lag_file)
            return _figures(looks, beats, paused, read.result(), watched.result())


def _watch(app: RunningApp, database: Path, seconds: float) -> list[Look]:
    usage, looks = Usage(app), list[Look]()
    end = time.monotonic() + seconds
    # Afterwards the points are read that streams should have brought, and the file with them.
    while time.monotonic() + _LOOK_EVERY <= end:
        time.sleep(_LOOK_EVERY)
        look = Look(
            time.monotonic(),
            httpx.get(f"{app.api}/").json()["row_count"],
            usage.memory / _MEBIBYTE,
            files_of(database),
            usage.share_of_core,
        )
        usage.restart()
        looks.append(look)
        say(
            f"soak: {told(look.row_count)} rows, {told(look.memory)} MiB of memory, "
            f"{told(look.files / _MEBIBYTE)} MiB of files, {told(look.share_of_core)} % of a core"
        )
    return looks


def _figures(
    looks: list[Look], beats: list[Beats], paused: list[Pause], read: Read, watched: Watched
) -> list[Figure]:
    return [
        *_figures_of_looks(looks),
        *_figures_of_lag(beats, paused),
        _figure_of_pauses(paused, [look.at for look in looks]),
        *_figures_of(f"{STREAMS} streams, ", "points", read.delivered, read.delays),
        *_figures_of(f"{PAGES} pages, ", "ticks", watched.delivered, watched.delays),
    ]


def _figures_of_looks(looks: list[Look]) -> list[Figure]:
    half = len(looks) // 2
    early, late = looks[half // 2 : half], looks[-(half // 2) :]
    grown = mean(look.memory for look in late) / mean(look.memory for look in early)
    return [
        Figure(
            "rows committed",
            "rows/s",
            [(b.row_count - a.row_count) / (b.at - a.at) for a, b in pairwise(looks)],
            better="more",
            targets=(at_least(99_000, "rows/s"),),
        ),
        Figure("processor", "% of a core", [look.share_of_core for look in looks]),
        Figure("memory", "MiB", [look.memory for look in looks]),
        Figure(
            "memory in the last quarter to that in the second",
            "times",
            [grown],
            targets=(under(1.05),),
        ),
        Figure("files, bytes per row", "bytes", [look.files / look.row_count for look in looks]),
        Figure(
            "files' bytes per row in the last quarter to those in the second",
            "times",
            [_bytes_per_row(late) / _bytes_per_row(early)],
            targets=(under(1.05),),
        ),
    ]


def _bytes_per_row(looks: list[Look]) -> float:
    return mean(look.files / look.row_count for look in looks)


def _figures_of_lag(beats: list[Beats], paused: list[Pause]) -> list[Figure]:
    every = [lag for some in beats for lag in some.late]
    lag = "lag of a 10 ms heartbeat"
    return [
        Figure(f"{lag}, p99", "ms", [percentile(every, 99)], targets=(under(5, "ms"),)),
        Figure(f"{lag}, p99 of ten seconds", "ms", [percentile(some.late, 99) for some in beats]),
        Figure(
            f"{lag}, the longest of ten seconds",
            "ms",
            [max(some.late) for some in beats],
            targets=(always_under(30, "ms"),),
        ),
        Figure(
            f"{lag}, the longest of its own",
            "ms",
            [some.longest_own(paused) for some in beats],
            targets=(always_under(30, "ms"),),
        ),
    ]


def _figure_of_pauses(paused: list[Pause], at: list[float]) -> Figure:
    """The longest of each time between two looks; 0 where the system does not let them be seen."""
    lengths = [
        [1000 * pause.seconds for pause in paused if end - _LOOK_EVERY < pause.ended <= end]
        for end in at
    ]
    return Figure(
        "pauses of the machine, the longest of ten seconds",
        "ms",
        [max(some, default=0.0) for some in lengths],
        note=_PAUSES,
    )


def _figures_of(who: str, what: str, delivered: float, delays: list[float]) -> list[Figure]:
    return [
        Figure(f"{who}{what} delivered", "%", [delivered], better="more", targets=(all_of_them(),)),
        Figure(f"{who}delay p50", "ms", [percentile(delays, 50)]),
        Figure(f"{who}delay p99", "ms", [percentile(delays, 99)], targets=(under(100, "ms"),)),
    ]
