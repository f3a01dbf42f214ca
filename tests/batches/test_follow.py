"""Following a batch: each committed point once, in order, to its end."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from pathlib import Path

import pytest

from solo_app.batches.errors import BatchNotFoundError
from solo_app.batches.follow import follow
from solo_app.batches.models import BatchStatus, Point
from solo_app.batches.service import BatchService
from solo_app.sources.random import random_numbers
from tests.helpers.service import FakeClock, ScriptedSource, counting, open_service, wait_until

pytestmark = pytest.mark.anyio


async def read(
    service: BatchService, after: int, most: int | None = None
) -> tuple[list[int], BatchStatus | None]:
    """The seqs that a reader of batch ``b`` gets, and the status it is told at the end."""
    seqs: list[int] = []
    async for news in follow(service, "b", after, idle_timeout=5):
        if isinstance(news, BatchStatus):
            return seqs, news
        seqs += [point.seq for point in news]
        if most and len(seqs) >= most:
            return seqs[:most], None
    return seqs, None


async def test_every_point_once_in_order_to_the_end(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", few=counting(3_000)) as service:
        await service.start("b", "few")
        readers = [asyncio.create_task(read(service, 0)) for _ in range(10)]
        for seqs, status in await asyncio.gather(*readers):
            assert seqs == list(range(1, 3_001))
            assert status is BatchStatus.FINISHED


async def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(
    tmp_path: Path,
) -> None:
    got: list[int] = []
    for _ in range(3):  # Each time the app has ended in between.
        async with open_service(tmp_path / "solo.duckdb") as service:
            await service.start("b")
            for most in (5, 7):
                got += (await read(service, got[-1] if got else 0, most))[0]
    assert got == list(range(1, 37))


async def test_an_ended_batch_gives_the_rest_and_its_status(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", few=counting(10)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        assert await read(service, 7) == ([8, 9, 10], BatchStatus.FINISHED)
        assert await read(service, 10) == ([], BatchStatus.FINISHED)


async def test_a_reader_of_a_run_is_told_its_end_though_another_began_at_once(
    tmp_path: Path,
) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count >= 3)
        reader = follow(service, "b", 0, idle_timeout=5)
        first = await anext(reader)
        assert isinstance(first, list)
        last = (await service.stop("b")).run.last_seq
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > (last or 0) + 3)
        seqs = [point.seq for point in first]
        async for news in reader:
            if isinstance(news, BatchStatus):
                assert news is BatchStatus.STOPPED
                break
            seqs += [point.seq for point in news]
        assert seqs == list(range(1, (last or 0) + 1))


async def test_silence_is_told(tmp_path: Path) -> None:
    clock = FakeClock("2026-01-01")
    async with open_service(
        tmp_path / "solo.duckdb", clock, script=ScriptedSource(clock)
    ) as service:
        await service.start("b", "script")
        assert await anext(follow(service, "b", 0, idle_timeout=0.01)) == []


async def test_readers_go_home_without_an_end_when_the_app_shuts_down(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        readers = [asyncio.create_task(read(service, 0)) for _ in range(5)]
        await wait_until(lambda: service.totals().row_count >= 3)
        service.end_streams()
        for seqs, status in await asyncio.wait_for(asyncio.gather(*readers), 1):
            assert seqs == list(range(1, len(seqs) + 1))
            assert status is None


async def test_following_what_never_was_is_an_error(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        with pytest.raises(BatchNotFoundError):
            await anext(follow(service, "b", 0, idle_timeout=1))


async def test_readers_that_do_not_read_hold_up_nobody_and_hold_nothing(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", flood=random_numbers(0)) as service:
        await service.start("b", "flood")
        idle = [follow(service, "b", 0, idle_timeout=5) for _ in range(40)]
        held = [await anext(reader) for reader in idle]
        gc.collect()
        tracemalloc.start()
        row_count = service.totals().row_count
        await wait_until(lambda: service.totals().row_count > row_count + 500_000)
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        # These points take 8 MB as columns; only what is on its way to disk is there.
        assert grown < 5_300_000
        first = held[0]
        assert isinstance(first, list)
        again = await anext(idle[0])
        assert isinstance(again, list)
        assert isinstance(again[0], Point)
        assert again[0].seq == first[-1].seq + 1
