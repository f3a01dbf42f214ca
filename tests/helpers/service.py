"""A service on a real DuckDB file, with a fake clock and scripted sources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from solo_app.batches.models import Clock, Point, RestartPolicy, utc_now
from solo_app.batches.read_backoff import ReadBackoff
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.batches.storage import Storage
from solo_app.batches.timing import Timing
from solo_app.sources.push import PUSH
from solo_app.sources.random import random_kind
from solo_app.storage.duckdb.store import DuckDBStore

FAST_RETRY = Timing(retry_interval=0.01, commit_delay=0.005)

RANDOM = random_kind(0.01)

Source = Callable[[], AsyncIterator[Numbers]] | SourceKind
"""A source without parameters, or a source kind."""


def simple_kind(name: str, source: Callable[[], AsyncIterator[Numbers]]) -> SourceKind:
    """Return a source kind without parameters that is not restarted."""

    def read(_: Parameters, __: RunContext) -> AsyncIterator[Numbers]:
        return source()

    return SourceKind(name, "For tests.", Parameters, read, RestartPolicy.NEVER)


def parameterized_kind(name: str, parameters: type[Parameters]) -> SourceKind:
    """Return a source kind that accepts parameters and never yields."""

    def read(_: Parameters, __: RunContext) -> AsyncIterator[Numbers]:
        return silent()

    return SourceKind(name, "Reads nothing.", parameters, read)


def simple_kinds(sources: Mapping[str, Source]) -> dict[str, SourceKind]:
    """Return the source kinds of sources by name."""
    return {
        name: source if isinstance(source, SourceKind) else simple_kind(name, source)
        for name, source in sources.items()
    }


class FakeClock:
    """A clock that only a test changes."""

    def __init__(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)

    def __call__(self) -> datetime:
        return self.now

    def set(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


class ScriptedSource:
    """A source that yields the numbers of a test. Each number sets the clock to its time."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self._lines: asyncio.Queue[tuple[datetime, object] | Exception | None] = asyncio.Queue()

    def emit(self, ts: datetime, number: object) -> None:
        self._lines.put_nowait((ts, number))

    def fail(self, error: Exception) -> None:
        self._lines.put_nowait(error)

    def finish(self) -> None:
        self._lines.put_nowait(None)

    async def __call__(self) -> AsyncIterator[Numbers]:
        while (line := await self._lines.get()) is not None:
            if isinstance(line, Exception):
                raise line
            self.clock.now, number = line
            yield number  # type: ignore[misc]


async def silent() -> AsyncIterator[Numbers]:
    """A source that never yields."""
    await asyncio.Event().wait()
    yield 0.0


class Talker:
    """A source whose output is written by a test."""

    def __init__(self) -> None:
        self.log: Callable[[str], None] = lambda _: None

    async def read(self, _: Parameters, context: RunContext) -> AsyncIterator[Numbers]:
        self.log = context.log
        yield 1.0
        await asyncio.Event().wait()

    @property
    def kind(self) -> SourceKind:
        return SourceKind("talker", "For tests.", Parameters, self.read)


class StubbornSource:
    """A source that ignores cancellation until it is released. It yields 1, then 2 and 3."""

    def __init__(self) -> None:
        self._is_released = asyncio.Event()

    def release(self) -> None:
        self._is_released.set()

    async def __call__(self) -> AsyncIterator[Numbers]:
        yield 1.0
        while not self._is_released.is_set():
            with suppress(asyncio.CancelledError):
                await self._is_released.wait()
        yield 2.0
        yield 3.0


def counting(up_to: int) -> Source:
    """Create a source that yields 1, 2, ... ``up_to`` and ends."""

    async def count() -> AsyncIterator[Numbers]:
        for number in range(1, up_to + 1):
            yield float(number)
            await asyncio.sleep(0)

    return count


@dataclass
class Harness:
    """A service with a fake clock and a scripted source, named ``random``.

    The tests of a module can share a harness if each uses its own batch ids.
    """

    service: BatchService
    clock: FakeClock
    script: ScriptedSource
    start_time: str

    def reset(self) -> None:
        """Reset the clock and replace the source."""
        self.clock.set(self.start_time)
        self.script = ScriptedSource(self.clock)


def duckdb_store(service: BatchService) -> DuckDBStore:
    """Return the DuckDB store of a service."""
    store = service._store  # noqa: SLF001 (the store itself is under test)
    assert isinstance(store, DuckDBStore)
    return store


async def latest_points(service: BatchService, batch_id: str, limit: int) -> list[Point]:
    """Return the latest points of a batch, in order."""
    after = max(0, service.last_seq(service.batch(batch_id)) - limit)
    return await service.points(batch_id, after, limit)


async def stop_all(service: BatchService) -> None:
    """Stop all running batches."""
    for batch in service.running():
        await service.stop(batch.batch_id)


@asynccontextmanager
async def open_harness(
    storage: Path | Storage, start_time: str = "2012-11-11 10:11:10"
) -> AsyncIterator[Harness]:
    """Open a harness. Its source ``few`` ends after five numbers."""
    clock = FakeClock(start_time)
    sources: dict[str, Source] = {"random": lambda: harness.script(), "few": counting(5)}
    async with open_service(storage, clock, False, FAST_RETRY, **sources) as service:
        harness = Harness(service, clock, ScriptedSource(clock), start_time)
        yield harness


@asynccontextmanager
async def open_service(
    storage: Path | Storage,
    clock: Clock = utc_now,
    resume: bool = False,
    timing: Timing = FAST_RETRY,
    **sources: Source,
) -> AsyncIterator[BatchService]:
    """Open a service on a DuckDB file or another store, and close it after the block.

    ``random`` yields a number every 10 ms. Failed reads and writes are retried every 10 ms.
    """
    store = DuckDBStore(storage) if isinstance(storage, Path) else storage
    available = {"random": RANDOM, "push": PUSH, **simple_kinds(sources)}
    backoff = ReadBackoff(first=0.01, longest=0.01)
    service = BatchService(store, available, clock, timing=timing, backoff=backoff)
    await service.open(resume)
    try:
        yield service
    finally:
        await service.close()


def producer_tasks() -> list[str]:
    """Return the names of the tasks that execute runs."""
    return [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("producer:")]


async def wait_until(condition: Callable[[], object], timeout: float = 30) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
