"""Live pages: what reaches open pages of five batches at 4 Hz, how late, and what it costs.

A delay runs from the moment that a tick tells of, which is when the service was asked, to when a
client in another process has it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import httpx
import numpy as np

from bench import page_clients, rows
from bench.app import Usage, running_app
from bench.figures import Figure, Target, told, under
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.scale import Scale
from solo_app.batches.live import TICK, interval_for
from tests.running_app import RunningApp

PAGES = (1, 100, 500, 1_000)
_MANY = 1_000
_BATCHES = tuple(f"/batch/{name}" for name in rows.NAMES)
_NOTE = (
    "Clients speak Reflex's protocol over its socket to the worker of `reflex run --env prod "
    "--backend-only`; its processor time is that of all its processes, with what five batches cost "
    "without pages. Up to 250 pages tick at 4 Hz, 1 000 at 1 Hz. Granian does not compress "
    "websockets (its issue 850). The template has no live pages: there is nothing to compare with."
)

Found = dict[tuple[str, int, str], list[float]]


def measure(scale: Scale) -> list[Figure]:
    """Rounds of each number of pages; each round on a fresh app, that forgets the pages before."""
    found: Found = defaultdict(list)
    for number in range(1, scale.pick(1, 3) + 1):
        with folder() as place, running_app(place, place / "app.duckdb") as app:
            for name in rows.NAMES:
                httpx.post(f"{app.api}/stream/{name}").raise_for_status()
            usage = Usage(app)
            time.sleep(scale.pick(1, 5))
            found["", 0, "share"].append(usage.share_of_core)
            for pages in scale.pick((1, _MANY), PAGES):
                say(f"live pages, round {number}: {pages} pages of batches")
                _round(app, usage, "batch", pages, scale, found)
            say(f"live pages, round {number}: {_MANY} first pages")
            _round(app, usage, "first", _MANY, scale, found)
    return _figures(found)


def _round(
    app: RunningApp, usage: Usage, kind: str, pages: int, scale: Scale, found: Found
) -> None:
    paths = _BATCHES if kind == "batch" else ("/",)
    settle, seconds = scale.pick((1.0, 3.0), (2.0, 6.0))
    # A tick that has nothing to tell does not come, but two in a row have something.
    apart = max(2 * TICK, interval_for(pages))
    before = usage.memory
    with own_process() as process:
        process.submit(int).result()  # Its start is not to fall into the time that counts.
        watching = process.submit(
            page_clients.watch, app.backend_port, paths, pages, settle, seconds, apart
        )
        samples = _use_until(watching.done, usage)
        watched = watching.result()
    times, spent, memory = zip(*samples, strict=True)
    began, ended = np.interp((watched.began, watched.ended), times, spent)
    for what, value in (
        ("delivered", watched.delivered),
        ("p50", percentile(watched.delays, 50)),
        ("p99", percentile(watched.delays, 99)),
        ("rate", watched.ticks_per_second),
        ("bytes", watched.bytes_per_tick),
        ("share", (ended - began) / (watched.ended - watched.began)),
        ("memory", (max(memory) - before) / pages / 1024),
    ):
        found[kind, pages, what].append(value)


def _use_until(done: Callable[[], bool], usage: Usage) -> list[tuple[float, float, float]]:
    """Again and again the time, the percent-seconds of a core spent so far, and the memory."""
    usage.restart()
    start, samples = time.perf_counter(), []
    while not done():
        spent = usage.share_of_core * (time.perf_counter() - start)
        samples.append((time.time(), spent, usage.memory))
        time.sleep(0.3)
    return samples


def _figures(found: Found) -> list[Figure]:
    everything = Target("all", lambda figure: figure.median == 100)
    figures = [Figure("no pages, processor", "% of a core", found["", 0, "share"], note=_NOTE)]
    for kind, pages in dict.fromkeys((kind, pages) for kind, pages, _ in found if kind):
        who = f"{told(pages)} {'first ' if kind == 'first' else ''}page{'s' * (pages > 1)}"
        aimed = pages == _MANY
        for what, name, unit, targets in (
            ("ticks delivered", "delivered", "%", (everything,)),
            ("ticks per page", "rate", "a second", ()),
            ("delay p50", "p50", "ms", ()),
            ("delay p99", "p99", "ms", (under(100, "ms"),)),
            ("processor", "share", "% of a core", (under(30, "%"),)),
            ("on the wire per page and tick", "bytes", "bytes", (under(300, "bytes"),)),
            ("memory per page", "memory", "KiB", ()),
        ):
            assert isinstance(targets, tuple)
            wanted = targets if aimed or what == "ticks delivered" else ()
            figures.append(Figure(f"{who}, {what}", unit, found[kind, pages, name], targets=wanted))
    return figures
