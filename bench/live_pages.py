"""Live pages: updates of open pages of five batches at 4 Hz, their delay and their cost.

A delay is the time from a tick, at which the server creates the snapshot that all pages show, to
the receipt of a page's update by a client in another process.
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
from tests.helpers.running_app import RunningApp

PAGES = (1, 100, 500, 1_000)
_MANY = 1_000
_BATCHES = tuple(f"/batch/{name}" for name in rows.NAMES)
_NOTE = (
    "Clients receive Reflex's deltas over its websocket from `reflex run --env prod "
    "--backend-only`. Processor time is that of all its processes, including the five batches. Up "
    "to 100 pages are updated at 4 Hz, more at 1 Hz, all at the same ticks: the delay p99 is the "
    "time that one tick takes for all pages. Granian does not compress websockets (its issue 850). "
    "The template has no live pages to compare with."
)

Found = dict[tuple[str, int, str], list[float]]


def measure(scale: Scale) -> list[Figure]:
    """Measure each number of pages in several rounds, each on a new app."""
    found: Found = defaultdict(list)
    kinds = [("batch", pages) for pages in scale.pick((_MANY,), PAGES)]
    for number in range(1, scale.pick(1, 3) + 1):
        for kind, pages in (*kinds, ("home", _MANY)):
            say(f"live pages, round {number}: {_title(kind, pages)}")
            with folder() as place, running_app(place, place / "app.duckdb") as app:
                _round(app, kind, pages, scale, found)
    return _figures(found)


def _title(kind: str, pages: int) -> str:
    return f"{told(pages)} {'home ' if kind == 'home' else ''}page{'s' * (pages > 1)}"


def _round(app: RunningApp, kind: str, pages: int, scale: Scale, found: Found) -> None:
    for name in rows.NAMES:
        httpx.post(f"{app.api}/stream/{name}").raise_for_status()
    usage = Usage(app)
    time.sleep(scale.pick(1, 2))
    found["", 0, "share"].append(usage.share_of_core)
    paths = _BATCHES if kind == "batch" else ("/",)
    settle, seconds = scale.pick((1.0, 3.0), (2.0, 6.0))
    before = usage.memory
    with own_process(page_clients.__name__) as process:
        measuring = process.submit(
            page_clients.measure_pages, app.backend_port, paths, pages, settle, seconds
        )
        samples = usage.while_going_on(measuring.done)
        measured = measuring.result()
    for what, value in (
        ("delivered", measured.delivered),
        ("p50", percentile(measured.delays, 50)),
        ("p99", percentile(measured.delays, 99)),
        ("rate", measured.updates_per_second),
        ("bytes", measured.bytes_per_update),
        ("share", samples.share_of_core(measured.began, measured.ended)),
        ("memory", (max(samples.memory) - before) / pages / 1024),
    ):
        found[kind, pages, what].append(value)


def _figures(found: Found) -> list[Figure]:
    figures = [Figure("no pages, processor", "% of a core", found["", 0, "share"], note=_NOTE)]
    for kind, pages in dict.fromkeys((kind, pages) for kind, pages, _ in found if kind):
        for what, name, unit, targets in (
            ("updates delivered", "delivered", "%", (all_of_them(),)),
            ("updates per page", "rate", "a second", ()),
            ("delay p50", "p50", "ms", ()),
            ("delay p99", "p99", "ms", (under(1_000, "ms"),)),
            ("processor", "share", "% of a core", (under(40, "%"),)),
            ("on the wire per page and update", "bytes", "bytes", ()),
            ("memory per page", "memory", "KiB", ()),
        ):
            title = f"{_title(kind, pages)}, {what}"
            figures.append(Figure(title, unit, found[kind, pages, name], targets=targets))
    return figures
