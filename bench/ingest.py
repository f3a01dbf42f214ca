"""Ingest: rows per second of five batches, the delay from a point to its commit, and loop lag."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from bench import template
from bench.app import BATCHES, run_separately, work_folder
from bench.report import Table
from solo_app.batches.models import RestartPolicy
from solo_app.batches.producer import Producer
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers, Parameters, SourceKind
from solo_app.storage.duckdb.store import DuckDBStore

logger = logging.getLogger(__name__)

_LARGE_ARRAY = 16_384
_WARM_UP = 0.3
_HEARTBEAT = 0.01
_MARK_EVERY = 0.005

_RATE, _P50, _P99, _LAG = "rows/s", "commit p50 (ms)", "commit p99 (ms)", "loop lag p99 (ms)"


def measure(quick: bool) -> list[Table]:
    table = Table("Ingest: five batches, as fast as possible", _RATE, _P50, _P99, _LAG)
    seconds = 0.5 if quick else 3.0
    for number in range(1 if quick else 3):
        logger.info("Ingest, round %d", number + 1)
        for length in (1, 100, _LARGE_ARRAY):
            with work_folder() as folder:
                database = folder / "app.duckdb"
                figures = run_separately(measure_service, database, length, seconds)
                table.add(_case(length), figures)
        with work_folder() as folder:
            figures = run_separately(measure_template, folder / "template.duckdb", seconds)
            table.add("template, 1 row per insert", figures)
    table.target(_case(_LARGE_ARRAY), _RATE, at_least=2_000_000)
    table.target(_case(_LARGE_ARRAY), _P99, below=150)
    table.target(_case(_LARGE_ARRAY), _LAG, below=5)
    return [table]


def _case(length: int) -> str:
    return f"{length:,} row{'s' * (length > 1)} per yield"


class _Source:
    """A source that never waits. ``delays`` are the times from yield to commit, in milliseconds."""

    def __init__(self, length: int) -> None:
        self.delays: list[float] = []
        self._length = length
        self._numbers = np.random.default_rng()
        self._marks: deque[tuple[int, float]] = deque(maxlen=10_000)

    async def __call__(self) -> AsyncIterator[Numbers]:
        seq, marked = 0, 0.0
        while True:
            numbers = self._numbers.integers(0, 100, self._length, endpoint=True).astype(float)
            seq += self._length
            now = time.perf_counter()
            if now - marked >= _MARK_EVERY:
                self._marks.append((seq, now))
                marked = now
            yield numbers
            await asyncio.sleep(0)

    def kind(self) -> SourceKind:
        return SourceKind("benchmark", "", Parameters, lambda *_: self(), RestartPolicy.NEVER)

    async def watch(self, producer: Producer) -> None:
        """Add the delay of each marked point when it is committed."""
        while True:
            await producer.wait_for_points(producer.committed_seq, timeout=60)
            now = time.perf_counter()
            while self._marks and self._marks[0][0] <= producer.committed_seq:
                self.delays.append(1000 * (now - self._marks.popleft()[1]))


async def measure_service(database: Path, length: int, seconds: float) -> dict[str, float]:
    sources = {name: _Source(length) for name in BATCHES}
    kinds = {name: source.kind() for name, source in sources.items()}
    service = BatchService(DuckDBStore(database), kinds)
    await service.open()
    watching = []
    for name, source in sources.items():
        producer = service.producer(await service.start(name, source=name))
        assert producer
        watching.append(asyncio.create_task(source.watch(producer)))
    await asyncio.sleep(_WARM_UP)
    for source in sources.values():
        source.delays.clear()
    rows, began = service.totals().row_count, time.perf_counter()
    lags = await _measure_lag(seconds)
    rate = (service.totals().row_count - rows) / (time.perf_counter() - began)
    for task in watching:
        task.cancel()
    await service.close()
    return _figures(rate, [delay for s in sources.values() for delay in s.delays], lags)


async def measure_template(database: Path, seconds: float) -> dict[str, float]:
    connection = template.connect(database)
    delays: list[float] = []

    async def produce(batch_id: str) -> None:
        while True:
            began = time.perf_counter()
            template.insert(connection, batch_id)
            delays.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(produce(name)) for name in BATCHES]
    await asyncio.sleep(_WARM_UP)
    delays.clear()
    began = time.perf_counter()
    lags = await _measure_lag(seconds)
    rate = len(delays) / (time.perf_counter() - began)
    for task in tasks:
        task.cancel()
    return _figures(rate, delays, lags)


async def _measure_lag(seconds: float) -> list[float]:
    """Return the delay of each beat of a 10 ms heartbeat, in milliseconds."""
    lags = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await asyncio.sleep(_HEARTBEAT)
        lags.append(1000 * (time.perf_counter() - began - _HEARTBEAT))
    return lags


def _figures(rate: float, delays: list[float], lags: list[float]) -> dict[str, float]:
    p50, p99 = (float(value) for value in np.percentile(delays, (50, 99)))
    return {_RATE: rate, _P50: p50, _P99: p99, _LAG: float(np.percentile(lags, 99))}
