"""Sources that ignore cancellation or are faulty, and many starts and stops."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from solo_app.batches.errors import BatchRunningError
from solo_app.batches.models import BatchStatus, RestartPolicy, utc_now
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.batches.timing import Timing
from solo_app.config import Settings
from solo_app.sources import create_sources
from solo_app.sources.random import random_kind
from tests.helpers.integrity import check_integrity
from tests.helpers.service import (
    FAST_RETRY,
    StubbornSource,
    counting,
    duckdb_store,
    open_service,
    silent,
    wait_until,
)
from tests.sources.http_server import flooding, redirect, response, serve, waiting

pytestmark = pytest.mark.anyio


async def test_source_that_ignores_cancellation_is_abandoned(
    tmp_path: Path,
) -> None:
    stubborn = StubbornSource()
    async with open_service(tmp_path / "solo.duckdb", stubborn=stubborn) as service:
        await service.start("b", "stubborn")
        await wait_until(lambda: service.totals().row_count == 1)
        producer = service.producer(service.batch("b"))
        assert producer
        task = producer.task
        batch = await service.stop("b")
        assert (batch.status, batch.run.last_seq) == (BatchStatus.STOPPED, 1)
        assert service.running() == []
        await service.start("b", "random")
        stubborn.release()
        await wait_until(task.done)
        await wait_until(lambda: service.totals().row_count > 3)
        await service.stop("b")
    assert len(check_integrity(tmp_path / "solo.duckdb")["b"].runs) == 2


def _open_files() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # The descriptor of this listing.
            yield str(descriptor.readlink())


def resources(service: BatchService) -> dict[str, int]:
    """Count the resources that a start allocates and a stop must release.

    The WAL is not counted: DuckDB closes it with each checkpoint.
    """
    gc.collect()
    pool = duckdb_store(service)._open_batches._engine.pool
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "files": len([file for file in _open_files() if not file.endswith(".wal")]),
        "readers": len(duckdb_store(service)._instance._reading),
        "registry connections": pool.checkedout(),  # type: ignore[attr-defined]
        "slots": len(service._runner),
        "buffers": len(service._ingest._buffers),
        "logs": len(service._log._by_no),
        "unwritten minutes": len(service._ingest._unwritten),
    }


async def create_executor_threads() -> None:
    """Create the threads of the default executor, which are kept."""
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.1) for _ in range(32)))


async def expect_no_more(service: BatchService, before: dict[str, int]) -> None:
    """Expect that each resource is released down to its number before."""

    def additional() -> dict[str, int]:
        counts = resources(service)
        return {name: n - before[name] for name, n in counts.items() if n > before[name]}

    with suppress(TimeoutError):
        await wait_until(lambda: not additional())
    assert additional() == {}


async def test_many_starts_and_stops_leak_no_resources(tmp_path: Path, rounds: int) -> None:
    cycles = 20 + 4 * rounds

    def broken() -> AsyncIterator[Numbers]:
        raise LookupError("nothing there")

    async def cycle(service: BatchService, name: str, number: int) -> None:
        # Most runs are stopped immediately; every fifth produces points first.
        source = ("flood", "broken", "few", "random")[number // 5 % 4]
        source = source if number % 5 == 0 else "silent"
        await service.start(name, source, restart=RestartPolicy.ON_FAILURE)
        if number % 5 == 0:
            await asyncio.sleep(0.01)
        await service.stop(name)
        await wait_until(lambda: not service.batch(name).is_running)

    async with open_service(
        tmp_path / "solo.duckdb",
        silent=silent,
        broken=broken,
        few=counting(3),
        flood=random_kind(0),
    ) as service:
        names = [f"b{n}" for n in range(5)]
        # The first concurrent queries create the reader threads, which are kept.
        for number in range(20):
            await asyncio.gather(*(cycle(service, name, number) for name in names))
        before = resources(service)
        for number in range(20, cycles):
            await asyncio.gather(*(cycle(service, name, number) for name in names))
        await expect_no_more(service, before)
        assert len(await service.runs("b0", limit=2 * cycles)) == cycles
        with pytest.raises(BatchRunningError):
            await asyncio.gather(*(service.start("b0") for _ in range(2)))
    stored = check_integrity(tmp_path / "solo.duckdb")
    assert sum(len(batch.runs) for batch in stored.values()) == 5 * cycles + 1


@pytest.fixture
async def servers() -> AsyncIterator[dict[str, str]]:
    """The URLs of HTTP servers with different faults, by name."""
    async with (
        serve(response("1")) as working,
        serve(waiting) as silent_server,
        serve(response(status="503 Busy")) as failing,
        serve(redirect("/")) as looping,
        serve(flooding(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65_536)) as huge,
    ):
        yield {
            "working": working.url,
            "silent": silent_server.url,
            "silent handshake": silent_server.url.replace("http:", "https:"),
            "failing": failing.url,
            "looping": looping.url,
            "huge": huge.url,
            "closed": "http://127.0.0.1:1/",
        }


FAULTS = ("silent", "silent handshake", "failing", "looping", "huge", "closed")


@pytest.mark.parametrize("fault", ["flood", *FAULTS])
async def test_faulty_source_does_not_slow_the_others(
    tmp_path: Path, servers: dict[str, str], fault: str
) -> None:
    pace: dict[str, object] = {"interval": 0.1}
    http = {**pace, "url": servers["working"]}
    others = [("random", pace), ("random", pace), ("host", pace), ("http", http)]
    timing = Timing(restart_delay=0.01, max_restart_delay=0.01)
    kinds = create_sources(Settings())
    async with open_service(tmp_path / "solo.duckdb", utc_now, False, timing, **kinds) as service:
        if fault == "flood":
            await service.start("faulty", "random", {"interval": 0})
        else:
            await service.start("faulty", "http", {**http, "url": servers[fault], "timeout": 60})
        for number, (source, parameters) in enumerate(others):
            await service.start(f"b{number}", source, parameters)
        batches = [service.batch(f"b{number}") for number in range(4)]
        await wait_until(lambda: all(service.row_count(batch) >= 10 for batch in batches))
        assert service.batch("faulty").is_running
        await asyncio.gather(*(service.stop(batch.batch_id) for batch in service.running()))


async def test_many_starts_and_stops_of_sources_leak_no_resources(
    tmp_path: Path, servers: dict[str, str], rounds: int
) -> None:
    async def cycle(service: BatchService, name: str, fault: str, number: int) -> None:
        if fault == "host":
            await service.start(name, "host")
        else:
            await service.start(name, "http", {"url": servers[fault], "timeout": 60})
        await asyncio.sleep(number % 5 / 100)
        await service.stop(name)

    kinds = create_sources(Settings())
    names = ["working", "host", *FAULTS]
    async with open_service(
        tmp_path / "solo.duckdb", utc_now, False, FAST_RETRY, **kinds
    ) as service:

        async def run(numbers: range) -> None:
            for number in numbers:
                faults = [names[(number + n) % len(names)] for n in range(5)]
                await asyncio.gather(
                    *(cycle(service, f"b{n}", fault, number) for n, fault in enumerate(faults))
                )

        await create_executor_threads()
        await run(range(10))
        before = resources(service)
        await run(range(10, 4 * rounds))
        await expect_no_more(service, before)
