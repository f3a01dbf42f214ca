"""Group commit: bounded buffers, and a disk that refuses for a while loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches import ingest, runs
from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.ingest import BUFFER_POINTS, MOMENT_POINTS, PointBuffer
from solo_app.batches.model import BatchStatus, Block, MinuteAggregate
from solo_app.batches.sources import Numbers, random
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
    buffer.append(0, np.zeros(BUFFER_POINTS - MOMENT_POINTS))
    assert not hurried
    buffer.append(0, np.zeros(MOMENT_POINTS))
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


async def test_an_array_longer_than_the_buffer_is_taken_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.arange(3.0 * BUFFER_POINTS + 7)

    async def long() -> AsyncIterator[Numbers]:
        yield numbers[:5]
        yield numbers[5:]

    async with open_service(tmp_path / "solo.duckdb", long=long) as service:
        write = service._store.write
        sizes: list[int] = []

        async def noting(blocks: list[Block], minutes: dict[int, list[MinuteAggregate]]) -> None:
            sizes.extend(len(block.ts) for block in blocks)
            await write(blocks, minutes)

        monkeypatch.setattr(service._store, "write", noting)
        await service.start("b", "long")
        await until(lambda: service.batch("b").status is BatchStatus.FINISHED)
        stored = await service._store.points(1, 0, len(numbers) + 1)
        assert [point.key for point in stored] == list(numbers)
        assert [point.seq for point in stored] == list(range(1, len(numbers) + 1))
        assert max(sizes) <= BUFFER_POINTS
        moments = [len(list(group)) for _, group in groupby(stored, lambda point: point.ts)]
        assert moments == [5, *[MOMENT_POINTS] * 6, 2]


async def test_an_array_of_nothing_holds_up_nobody(tmp_path: Path) -> None:
    async def sparse() -> AsyncIterator[Numbers]:
        while True:
            yield np.array([])

    async with open_service(tmp_path / "solo.duckdb", sparse=sparse) as service:
        batch = await service.start("b", "sparse")
        await service.start("calm")
        await until(lambda: service.totals().row_count >= 3)
        producer = service.producer(batch)
        assert producer
        assert not producer.buffer.holds_older_than(2**62)
        assert (await service.stop("b")).run.last_seq == 0


async def test_points_that_go_to_no_disk_before_the_end_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runs, "_CLOSE_WITHIN", 0.05)

    async def full(*_: object) -> None:
        raise StoreUnavailableError("no room")

    async def eleven() -> AsyncIterator[Numbers]:
        yield np.zeros(4)
        yield np.zeros(7)
        await asyncio.Event().wait()

    async with open_service(tmp_path / "solo.duckdb", eleven=eleven) as service:
        monkeypatch.setattr(service._store, "write", full)
        await service.start("b", "eleven")
        await until(lambda: service.totals().trouble)
    assert "11 points of b are not saved: no room" in caplog.messages


async def test_minutes_count_what_the_store_holds_after_every_flush(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        for _ in range(3):
            await until(lambda: service.totals().row_count >= 2)
            await service._ingest.flush_minutes()
            counters = (await service._store.stored_minutes(service.clock())).counters
            stored = await service._store.points(1, 0, 10_000)
            assert 2 <= counters[1].row_count == counters[1].last_seq <= len(stored)
        await service.stop("b")
        counters = (await service._store.stored_minutes(service.clock())).counters
        assert (
            counters[1].row_count
            == service.totals().row_count
            == len(await service.points("b", 0, 10_000))
        )
