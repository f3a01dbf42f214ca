"""Durable ingest: five producers flat out, and how late the event loop gets meanwhile.

Through ``BatchService``, as in the app: every row counts once it is committed. The sources hand
over arrays. The heartbeat is a task that asks to be woken every 10 ms and notes how late it is.
The template's way does what it does in its program, in a process with nothing else to do.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench import template
from bench.figures import Figure, Target, always_under, at_least, times_the_template, under
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.scale import Scale
from solo_app.batches.producer import Producer
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.storage.duckdb.store import DuckDBStore

ARRAY_LENGTH = 16_384
"""Numbers that a source hands over at a time."""

_BEAT = 0.01
_WARM_UP = 0.3


@dataclass
class Round:
    """One round of a way: rows per second; waits and lags in milliseconds."""

    rows_per_second: float = 0.0
    waits: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


def measure(scale: Scale) -> list[Figure]:
    """Rounds of this app and of the template's way in turn, each in a process of its own."""
    seconds = scale.pick(1.0, 6.0)
    ours, theirs = [], []
    for number in range(1, scale.pick(1, 5) + 1):
        with folder() as place, own_process() as process:
            ours.append(process.submit(_round_of_app, place, seconds).result())
            theirs.append(process.submit(_round_of_template, place, seconds).result())
        say(f"ingest, round {number}: {ours[-1].rows_per_second:,.0f} rows/s")
    return _figures(ours, theirs)


def _figures(ours: list[Round], theirs: list[Round]) -> list[Figure]:
    def times(what: str, name: str, percent: float, *targets: Target) -> Figure:
        return Figure(
            what,
            "ms",
            [percentile(getattr(r, name), percent) for r in ours],
            targets=targets,
            template=[percentile(getattr(r, name), percent) for r in theirs],
        )

    return [
        Figure(
            "durable rows, five producers flat out",
            "rows/s",
            [r.rows_per_second for r in ours],
            better="more",
            targets=(at_least(2_000_000, "rows/s"), times_the_template(500)),
            template=[r.rows_per_second for r in theirs],
        ),
        times("from produced to committed, p50", "waits", 50),
        times("from produced to committed, p99", "waits", 99, under(150, "ms")),
        times("lag of a 10 ms heartbeat meanwhile, p99", "lags", 99, under(5, "ms")),
        times("lag of a 10 ms heartbeat meanwhile, max", "lags", 100, always_under(30, "ms")),
    ]


def _round_of_app(place: Path, seconds: float) -> Round:
    return asyncio.run(_ingest(place / "app.duckdb", seconds))


def _round_of_template(place: Path, seconds: float) -> Round:
    return asyncio.run(_insert(place / "template.duckdb", seconds))


async def _ingest(database: Path, seconds: float) -> Round:
    taken = Round()
    handed = [Handed() for _ in range(BATCH_LIMIT)]
    names = [f"batch-{number}" for number in range(BATCH_LIMIT)]
    service = BatchService(DuckDBStore(database), dict(zip(names, handed, strict=True)))
    await service.open()
    watchers = []
    for name, source in zip(names, handed, strict=True):
        producer = service.producer(await service.start(name, source=name))
        assert producer
        watchers.append(asyncio.create_task(source.watch(producer, taken)))
    await asyncio.sleep(_WARM_UP)
    taken.waits.clear()
    rows, began = service.totals().row_count, time.perf_counter()
    await _beat(seconds, taken)
    elapsed = time.perf_counter() - began
    taken.rows_per_second = (service.totals().row_count - rows) / elapsed
    for watcher in watchers:
        watcher.cancel()
    await service.close()
    return taken


class Handed:
    """A source that notes when it handed over what, and how long that took to be committed."""

    def __init__(self) -> None:
        self._numbers = np.random.default_rng()
        self._seq = 0
        self._under_way: deque[tuple[int, float]] = deque()

    async def __call__(self) -> AsyncIterator[Numbers]:
        while True:
            numbers = self._numbers.integers(0, 100, ARRAY_LENGTH, endpoint=True).astype(float)
            self._seq += len(numbers)
            self._under_way.append((self._seq, time.perf_counter()))
            yield numbers
            await asyncio.sleep(0)

    async def watch(self, producer: Producer, taken: Round) -> None:
        """Note the wait of each array, from when it is handed over to when its last is on disk."""
        while True:
            await producer.wait_for_points(producer.committed_seq, timeout=60)
            now = time.perf_counter()
            while self._under_way and self._under_way[0][0] <= producer.committed_seq:
                taken.waits.append((now - self._under_way.popleft()[1]) * 1000)


async def _insert(database: Path, seconds: float) -> Round:
    taken = Round()
    connection = template.connect(database)

    async def produce(batch_id: str) -> None:
        while True:
            began = time.perf_counter()
            template.insert(connection, batch_id)
            taken.waits.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(produce(f"batch-{n}")) for n in range(BATCH_LIMIT)]
    await asyncio.sleep(_WARM_UP)
    taken.waits.clear()
    began = time.perf_counter()
    await _beat(seconds, taken)
    taken.rows_per_second = len(taken.waits) / (time.perf_counter() - began)
    for task in tasks:
        task.cancel()
    connection.close()
    return taken


async def _beat(seconds: float, taken: Round) -> None:
    """Ask to be woken every 10 ms for so long, and note how late it was each time."""
    end = time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        await asyncio.sleep(_BEAT)
        taken.lags.append((time.perf_counter() - now - _BEAT) * 1000)
