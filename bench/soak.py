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
from bench.page_clients import Measured
from bench.pauses import Pause
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.stream_readers import Read
from tests.helpers.running_app import RunningApp

STREAMS, PAGES = 50, 50
_LOOK_EVERY = 10.0
_SETTLE = 5.0
_MEBIBYTE = 2**20
_MEMORY_BOUND = 812_000_000 / _MEBIBYTE
"""DuckDB's memory limit of 512 MB, and 300 MB for everything else."""
_LAG = "lag of a 10 ms heartbeat"
_PAUSES = (
    "A pause is a time in which all processors of the machine were held up: on each of them (eight "
    "at most) a process slept, 4 ms at a time, before all other programs where the system allows "
    "that, and all woke late. Of a pause that falls into a lag only what was seen so is left out."
)
_OF_ITS_PROCESSOR = (
    "Its processor is the one that the loop was on before a lag and after it: that one alone may "
    "have been held up, by the host or by work of the system's kernel that nothing interrupts, for "
    "whichever program. Where it was not on the same before and after, pauses of all are left out."
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
        watched = [
            (processor, stack.enter_context(own_process(pauses.__name__)))
            for processor in pauses.processors()
        ]
        reading = stack.enter_context(own_process(stream_readers.__name__))
        watching = stack.enter_context(own_process(page_clients.__name__))
        going_on = place / "going on"
        going_on.touch()
        overslept = {on: each.submit(pauses.oversleep, on, going_on) for on, each in watched}
        lag_file = place / "lags.jsonl"
        settings = {"REFLEX_APP_MODULE_IMPORT": "bench.soak_app", lags.VARIABLE: str(lag_file)}
        database = place / "app.duckdb"
        with running_app(place, database, settings) as app:
            for each in overslept.values():
                if each.done():
                    each.result()  # It failed; the soak need not go on for that to be told.
            for name in rows.NAMES:
                httpx.post(f"{app.api}/stream/{name}").raise_for_status()
            port, calm = app.backend_port, rows.NAMES[:1]
            read = reading.submit(stream_readers.read, port, calm, STREAMS, _SETTLE, seconds)
            measured = watching.submit(
                page_clients.measure_pages, port, _PATHS, PAGES, _SETTLE, seconds
            )
            looks = _watch(app, database, seconds)
            beats = lags.noted(lag_file)
            assert beats[-1].ended - beats[0].began > seconds - 2 * lags.EVERY, "the beat broke off"
            going_on.unlink()
            paused = {on: each.result() for on, each in overslept.items()}
            return _figures(looks, beats, paused, read.result(), measured.result())


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
    looks: list[Look],
    beats: list[Beats],
    paused: dict[int, list[Pause]],
    read: Read,
    pages: Measured,
) -> list[Figure]:
    began = beats[0].began
    return [
        *_figures_of_looks(looks, began),
        *_figures_of_lag(beats),
        *(_figures_of_pauses(beats, paused) if paused else []),
        *_figures_of(f"{STREAMS} streams, ", "points", read.delivered, read.delays),
        *_figures_of(f"{PAGES} pages, ", "updates", pages.delivered, pages.delays),
    ]


def _figures_of_looks(looks: list[Look], began: float) -> list[Figure]:
    minutes = [(look.at - began) / 60 for look in looks]
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
            minutes=minutes[1:],
        ),
        Figure("processor", "% of a core", [look.share_of_core for look in looks], minutes=minutes),
        Figure(
            "memory",
            "MiB",
            [look.memory for look in looks],
            targets=(always_under(_MEMORY_BOUND, "MiB"),),
            minutes=minutes,
        ),
        Figure("memory in the last quarter to that in the second", "times", [grown]),
        Figure("files", "MiB", [look.files / _MEBIBYTE for look in looks], minutes=minutes),
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


def _figures_of_lag(beats: list[Beats]) -> list[Figure]:
    every = [lag for some in beats for lag in some.late]
    minutes = _minutes_of(beats)
    return [
        Figure(f"{_LAG}, p99", "ms", [percentile(every, 99)], targets=(under(5, "ms"),)),
        Figure(
            f"{_LAG}, p99 of ten seconds",
            "ms",
            [percentile(some.late, 99) for some in beats],
            minutes=minutes,
        ),
        Figure(
            f"{_LAG}, the longest of ten seconds",
            "ms",
            [max(some.late) for some in beats],
            targets=(always_under(30, "ms"),),
            minutes=minutes,
        ),
        Figure(
            f"{_LAG}, the longest without its waits for a processor",
            "ms",
            [some.longest_without_waits() for some in beats],
            minutes=minutes,
        ),
    ]


def _minutes_of(beats: list[Beats]) -> list[float]:
    return [(some.ended - beats[0].began) / 60 for some in beats]


def _figures_of_pauses(beats: list[Beats], paused: dict[int, list[Pause]]) -> list[Figure]:
    of_all = pauses.at_once(list(paused.values()))
    by_beats = [pauses.within(of_all, some.began, some.ended) for some in beats]
    minutes = _minutes_of(beats)
    return [
        Figure(
            f"{_LAG}, the longest without pauses of the machine",
            "ms",
            [some.longest_without_pauses(of_all) for some in beats],
            targets=(always_under(30, "ms"),),
            minutes=minutes,
        ),
        Figure(
            f"{_LAG}, the longest without pauses of its processor",
            "ms",
            [some.longest_without_pauses_of_its_processor(paused) for some in beats],
            note=_OF_ITS_PROCESSOR,
        ),
        Figure(
            "pauses of the machine, the longest of ten seconds",
            "ms",
            [1000 * max(lengths, default=0.0) for lengths in by_beats],
            note=_PAUSES,
            minutes=minutes,
        ),
        Figure(
            "pauses of the machine, share of the time",
            "%",
            [
                100 * sum(lengths) / (some.ended - some.began)
                for some, lengths in zip(beats, by_beats, strict=True)
            ],
        ),
    ]


def _figures_of(who: str, what: str, delivered: float, delays: list[float]) -> list[Figure]:
    return [
        Figure(f"{who}{what} delivered", "%", [delivered], better="more", targets=(all_of_them(),)),
        Figure(f"{who}delay p50", "ms", [percentile(delays, 50)]),
        Figure(f"{who}delay p99", "ms", [percentile(delays, 99)], targets=(under(100, "ms"),)),
    ]
