"""Sources that do not end, and starts and stops without end: nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from solo_app.batches.errors import BatchRunningError
from solo_app.batches.models import BatchStatus
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.sources.random import random_numbers
from tests.helpers.integrity import check_integrity
from tests.helpers.service import counting, duckdb_store, open_service, silent, wait_until

pytestmark = pytest.mark.anyio


async def test_a_source_that_does_not_end_holds_no_stop_up_and_gives_nothing_more(
    tmp_path: Path,
) -> None:
    let_go = asyncio.Event()

    async def stubborn() -> AsyncIterator[Numbers]:
        yield 1.0
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        yield 2.0
        yield 3.0

    async with open_service(tmp_path / "solo.duckdb", stubborn=stubborn) as service:
        await service.start("b", "stubborn")
        await wait_until(lambda: service.totals().row_count == 1)
        producer = service.producer(service.batch("b"))
        assert producer
        left = producer.task
        batch = await service.stop("b")
        assert (batch.status, batch.run.last_seq) == (BatchStatus.STOPPED, 1)
        assert service.running() == []
        await service.start("b", "random")
        let_go.set()
        await wait_until(left.done)
        await wait_until(lambda: service.totals().row_count > 3)
        await service.stop("b")
    assert len(check_integrity(tmp_path / "solo.duckdb")["b"].runs) == 2


def held(service: BatchService) -> dict[str, int]:
    """What a start takes and a stop must give back."""
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
        "unwritten minutes": len(service._ingest._unwritten),
    }


async def test_starts_and_stops_without_end_leave_nothing_behind(
    tmp_path: Path, rounds: int
) -> None:
    def broken() -> AsyncIterator[Numbers]:
        raise LookupError("nothing there")

    async def cycle(service: BatchService, name: str, number: int) -> None:
        # Most start and stop at once; every tenth gives points before.
        source = ("flood", "broken", "few", "random")[number // 10 % 4]
        await service.start(name, source if number % 10 == 0 else "silent")
        if number % 10 == 0:
            await asyncio.sleep(0.01)
        await service.stop(name)
        await wait_until(lambda: not service.batch(name).is_running)

    async with open_service(
        tmp_path / "solo.duckdb",
        silent=silent,
        broken=broken,
        few=counting(3),
        flood=random_numbers(0),
    ) as service:
        names = [f"b{n}" for n in range(5)]
        # Threads that read come with the first who ask at the same time, and stay.
        for number in range(21):
            await asyncio.gather(*(cycle(service, name, number) for name in names))
        before = held(service)
        for number in range(21, 20 * rounds + 1):
            await asyncio.gather(*(cycle(service, name, number) for name in names))
        await wait_until(lambda: all(now <= before[what] for what, now in held(service).items()))
        assert len(await service.runs("b0", limit=100 * rounds)) == 20 * rounds + 1
        with pytest.raises(BatchRunningError):
            await asyncio.gather(*(service.start("b0") for _ in range(2)))
    kept = check_integrity(tmp_path / "solo.duckdb")
    assert sum(len(batch.runs) for batch in kept.values()) == 5 * (20 * rounds + 1) + 1
