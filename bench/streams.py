"""Streams: readers of the five batches at 4 Hz, what reaches them, how late, and what it costs.

A delay runs from when a point is produced, so its commit is part of it, to when a reader in
another process has it.
"""

from __future__ import annotations

import time
from collections import defaultdict

import httpx

from bench import rows, stream_readers
from bench.app import Usage, running_app
from bench.figures import Figure, all_of_them, told, under
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.scale import Scale
from tests.helpers.running_app import RunningApp

_MANY = 1_000
READERS = (1, 100, _MANY)
_NOTE = (
    "The worker of `reflex run --env prod --backend-only` sends; its processor time is that of "
    "all its processes, with what five batches cost without readers. The template's stream sends "
    "a counter and no points: there is nothing to compare with."
)


def measure(scale: Scale) -> list[Figure]:
    """Rounds of each number of readers, each on a fresh app: it forgets the readers before."""
    found: dict[tuple[int, str], list[float]] = defaultdict(list)
    for number in range(1, scale.pick(1, 3) + 1):
        for readers in scale.pick((_MANY,), READERS):
            say(f"streams, round {number}: {readers} readers")
            with folder() as place, running_app(place, place / "app.duckdb") as app:
                _round(app, readers, scale, found)
    return _figures(found)


def _round(
    app: RunningApp, readers: int, scale: Scale, found: dict[tuple[int, str], list[float]]
) -> None:
    for name in rows.NAMES:
        httpx.post(f"{app.api}/stream/{name}").raise_for_status()
    usage = Usage(app)
    time.sleep(scale.pick(1, 2))
    found[0, "share"].append(usage.share_of_core)
    settle, seconds = scale.pick(1.0, 3.0), scale.pick(2.0, 6.0)
    before = usage.memory
    with own_process() as process:
        process.submit(int).result()  # Its start is not to fall into the time that counts.
        read = process.submit(
            stream_readers.read, app.backend_port, rows.NAMES, readers, settle, seconds
        )
        samples = usage.while_going_on(read.done)
        got = read.result()
    for what, value in (
        ("delivered", got.delivered),
        ("p50", percentile(got.delays, 50)),
        ("p99", percentile(got.delays, 99)),
        ("share", samples.share_of_core(got.began, got.ended)),
        ("memory", (max(samples.memory) - before) / readers / 1024),
    ):
        found[readers, what].append(value)


def _figures(found: dict[tuple[int, str], list[float]]) -> list[Figure]:
    figures = [Figure("no readers, processor", "% of a core", found[0, "share"], note=_NOTE)]
    for readers in dict.fromkeys(readers for readers, _ in found if readers):
        who = f"{told(readers)} reader{'s' * (readers > 1)}"
        aimed = readers == _MANY
        for what, name, unit, targets in (
            ("points delivered", "delivered", "%", (all_of_them(),)),
            ("delay p50", "p50", "ms", ()),
            ("delay p99", "p99", "ms", (under(100, "ms"),) if aimed else ()),
            ("processor", "share", "% of a core", (under(25, "%"),) if aimed else ()),
            ("memory per reader", "memory", "KiB", ()),
        ):
            assert isinstance(targets, tuple)
            figures.append(Figure(f"{who}, {what}", unit, found[readers, name], targets=targets))
    return figures
