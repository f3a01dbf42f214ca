"""Live pages: what reaches open pages of five batches at 4 Hz, how late, and what it costs.

A delay runs from the moment at which a tick of a page was due to when a client in another process
has it.
"""

from __future__ import annotations

import time
from collections import defaultdict

import httpx

from bench import page_clients, rows
from bench.app import Usage, running_app
from bench.figures import Figure, all_of_them, told, under
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.scale import Scale
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
    """Rounds of each number of pages, each on a fresh app: it forgets the pages before."""
    found: Found = defaultdict(list)
    kinds = [("batch", pages) for pages in scale.pick((_MANY,), PAGES)]
    for number in range(1, scale.pick(1, 3) + 1):
        for kind, pages in (*kinds, ("first", _MANY)):
            say(f"live pages, round {number}: {_who(kind, pages)}")
            with folder() as place, running_app(place, place / "app.duckdb") as app:
                _round(app, kind, pages, scale, found)
    return _figures(found)


def _who(kind: str, pages: int) -> str:
    return f"{told(pages)} {'first ' if kind == 'first' else ''}page{'s' * (pages > 1)}"


def _round(app: RunningApp, kind: str, pages: int, scale: Scale, found: Found) -> None:
    for name in rows.NAMES:
        httpx.post(f"{app.api}/stream/{name}").raise_for_status()
    usage = Usage(app)
    time.sleep(scale.pick(1, 2))
    found["", 0, "share"].append(usage.share_of_core)
    paths = _BATCHES if kind == "batch" else ("/",)
    settle, seconds = scale.pick((1.0, 3.0), (2.0, 6.0))
    before = usage.memory
    with own_process() as process:
        process.submit(int).result()  # Its start is not to fall into the time that counts.
        watching = process.submit(
            page_clients.watch, app.backend_port, paths, pages, settle, seconds
        )
        samples = usage.while_going_on(watching.done)
        watched = watching.result()
    for what, value in (
        ("delivered", watched.delivered),
        ("p50", percentile(watched.delays, 50)),
        ("p99", percentile(watched.delays, 99)),
        ("rate", watched.ticks_per_second),
        ("bytes", watched.bytes_per_tick),
        ("share", samples.share_of_core(watched.began, watched.ended)),
        ("memory", (max(samples.memory) - before) / pages / 1024),
    ):
        found[kind, pages, what].append(value)


def _figures(found: Found) -> list[Figure]:
    figures = [Figure("no pages, processor", "% of a core", found["", 0, "share"], note=_NOTE)]
    for kind, pages in dict.fromkeys((kind, pages) for kind, pages, _ in found if kind):
        who = _who(kind, pages)
        aimed = pages == _MANY
        for what, name, unit, targets in (
            ("ticks delivered", "delivered", "%", (all_of_them(),)),
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
