"""Sources that ignore cancellation, and many starts and stops."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from solo_app.batches.errors import BatchRunningError
from solo_app.batches.models import BatchStatus, RestartPolicy
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.sources.random import random_kind
from tests.helpers.integrity import check_integrity
from tests.helpers.service import counting, duckdb_store, open_service, silent, wait_until

pytestmark = pytest.mark.anyio


async def test_source_that_ignores_cancellation_is_abandoned(
    tmp_path: Path,
) -> None:
    is_released = asyncio.Event()

    async def stubborn() -> AsyncIterator[Numbers]:
        yield 1.0
        while not is_released.is_set():
            try:
                await is_released.wait()
            except asyncio.CancelledError:
                continue
        yield 2.0
        yield 3.0

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
        is_released.set()
        await wait_until(task.done)
        await wait_until(lambda: service.totals().row_count > 3)
        await service.stop("b")
    assert len(check_integrity(tmp_path / "solo.duckdb")["b"].runs) == 2


def resources(service: BatchService) -> dict[str, int]:
    """Count the resources that a start allocates and a stop must release."""
    gc.collect()
    pool = duckdb_store(service)._open_batches._engine.pool
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "readers": len(duckdb_store(service)._instance._reading),
        "registry connections": pool.checkedout(),  # type: ignore[attr-defined]
        "slots": len(service._runner),
        "buffers": len(service._ingest._buffers),
        "logs": len(service._log._by_no),
        "unwritten minutes": len(service._ingest._unwritten),
    }


async def test_many_starts_and_stops_leak_no_resources(tmp_path: Path, rounds: int) -> None:
    def broken() -> AsyncIterator[Numbers]:
        raise LookupError("nothing there")

    async def cycle(service: BatchService, name: str, number: int) -> None:
        # Most runs are stopped immediately; every tenth produces points first.
        source = ("flood", "broken", "few", "random")[number // 10 % 4]
        source = source if number % 10 == 0 else "silent"
        await service.start(name, source, restart=RestartPolicy.ON_FAILURE)
        if number % 10 == 0:
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
        for number in range(21):
            await asyncio.gather(*(cycle(service, name, number) for name in names))
        before = resources(service)
        for number in range(21, 20 * rounds + 1):
            await asyncio.gather(*(cycle(service, name, number) for name in names))
        await wait_until(
            lambda: all(count <= before[name] for name, count in resources(service).items())
        )
        assert len(await service.runs("b0", limit=100 * rounds)) == 20 * rounds + 1
        with pytest.raises(BatchRunningError):
            await asyncio.gather(*(service.start("b0") for _ in range(2)))
    stored = check_integrity(tmp_path / "solo.duckdb")
    assert sum(len(batch.runs) for batch in stored.values()) == 5 * (20 * rounds + 1) + 1
