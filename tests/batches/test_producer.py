"""The task of a run: bounded memory, and no blocked event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import groupby

import numpy as np
import pytest

from solo_app.batches.ingest import BUFFER_POINTS, MAX_POINTS_PER_APPEND
from solo_app.batches.models import BatchStatus
from solo_app.batches.source import Numbers
from solo_app.sources.random import random_kind
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio


async def test_array_longer_than_the_buffer_is_split() -> None:
    numbers = np.arange(3.0 * BUFFER_POINTS + 7)

    async def long() -> AsyncIterator[Numbers]:
        yield numbers[:5]
        yield numbers[5:]

    storage = MemoryStorage()
    async with open_service(storage, long=long) as service:
        await service.start("b", "long")
        await wait_until(lambda: service.batch("b").status is BatchStatus.FINISHED)
        stored = await storage.points(1, 0, len(numbers) + 1)
    assert [point.key for point in stored] == numbers.tolist()
    assert [point.seq for point in stored] == list(range(1, len(numbers) + 1))
    assert max(len(block.ts) for block in storage.written) <= BUFFER_POINTS
    parts = [len(list(group)) for _, group in groupby(stored, lambda point: point.ts)]
    assert parts == [5, *[MAX_POINTS_PER_APPEND] * 6, 2]


async def test_producer_waits_while_its_buffer_is_full() -> None:
    storage = MemoryStorage()
    storage.writes.hold()
    async with open_service(storage, flood=random_kind(0)) as service:
        producer = service.producer(await service.start("b", "flood"))
        assert producer
        buffer = producer.buffer
        await wait_until(lambda: storage.writes.waiting and buffer.pending >= BUFFER_POINTS)
        # A block is in flight, and the buffer is full again.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(buffer.wait_for_capacity(), 0.01)
        assert buffer.uncommitted <= 2 * BUFFER_POINTS
        storage.writes.open()
        await service.stop("b")


async def yield_without_waiting() -> AsyncIterator[Numbers]:
    while True:
        yield 1.0


async def yield_empty_arrays() -> AsyncIterator[Numbers]:
    while True:
        yield np.array([])


@pytest.mark.parametrize("source", [yield_without_waiting, yield_empty_arrays])
async def test_source_that_never_waits_does_not_block_others(source: object) -> None:
    async with open_service(MemoryStorage(), greedy=source) as service:  # type: ignore[arg-type]
        await service.start("greedy", "greedy")
        calm = await service.start("calm")
        await wait_until(lambda: service.row_count(calm) >= 5)
        greedy = await service.stop("greedy")
        assert greedy.run.last_seq == service.row_count(greedy)
        assert bool(greedy.run.last_seq) is (source is yield_without_waiting)
