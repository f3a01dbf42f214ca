"""Group commit: bounded buffers, and a disk that refuses for a while loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches import ingest
from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.ingest import BUFFER_POINTS, PointBuffer
from solo_app.batches.sources import random
from tests.workbench import open_service, until

pytestmark = pytest.mark.anyio


async def test_a_refused_commit_is_tried_again_and_told_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "RETRY_AFTER", 0.01)
    async with open_service(tmp_path / "solo.duckdb") as service:
        write = service._store.write
        refusing = True

        async def sometimes(*args: object) -> None:
            if refusing:
                raise StoreUnavailableError("no room")
            await write(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(service._store, "write", sometimes)
        await service.start("b")
        await until(lambda: service.totals().trouble)
        assert "no room" in (service.totals().trouble or "")
        assert service.totals().row_count == 0
        refusing = False
        await until(lambda: service.totals().row_count > 5)
        assert service.totals().trouble is None
        await service.stop("b")
        stored = await service.points("b", 0, 10_000)
        assert [p.seq for p in stored] == list(range(1, len(stored) + 1))


async def test_a_full_buffer_makes_its_producer_wait_and_a_take_lets_it_go_on() -> None:
    hurried: list[bool] = []
    buffer = PointBuffer(1, 1, lambda: None, lambda: hurried.append(True))
    buffer.append(0, np.zeros(BUFFER_POINTS - 1))
    assert not hurried
    buffer.append(0, np.zeros(1))
    assert hurried  # Nobody lingers while a producer waits.
    waiting = asyncio.create_task(buffer.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    block = buffer.take()
    await waiting
    assert block is not None
    assert (block.first_seq, block.last_seq) == (1, BUFFER_POINTS)


async def test_whoever_waits_for_a_commit_ends_its_lingering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "LINGER", 3_600)
    async with asyncio.timeout(10), open_service(tmp_path / "solo.duckdb", flood=random(0)) as s:
        batch = await s.start("b")
        producer = s.producer(batch)
        assert producer
        await until(lambda: producer.buffer.gathered >= 3)
        assert s.row_count(batch) == 0
        await s.stop("b")
        assert s.row_count(batch) >= 3
        full = await s.start("full", "flood")
        await until(lambda: s.row_count(full) >= BUFFER_POINTS)


async def test_memory_is_bounded_while_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path / "solo.duckdb", flood=random(0)) as service:
        write = service._store.write
        opened = asyncio.Event()

        async def stuck(*args: object) -> None:
            await opened.wait()
            await write(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(service._store, "write", stuck)
        await service.start("b", "flood")
        buffer = next(iter(service._ingest._buffers.values()))
        await until(lambda: service._ingest._committing and buffer.gathered >= BUFFER_POINTS)
        produced = buffer.next_seq
        await asyncio.sleep(0.05)  # The claim is that nothing happens.
        assert buffer.next_seq == produced
        opened.set()
        await service.stop("b")


async def test_minutes_count_what_the_store_holds_after_every_flush(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        for _ in range(3):
            await until(lambda: service.totals().row_count >= 2)
            await service._ingest.flush_minutes()
            counted = sum((await service._store.row_counts()).values())
            stored = await service._store.points(1, 0, 10_000)
            assert 2 <= counted <= len(stored)
        await service.stop("b")
        counted = sum((await service._store.row_counts()).values())
        assert counted == service.totals().row_count == len(await service.points("b", 0, 10_000))
