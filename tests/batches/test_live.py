"""The ticker: one snapshot for all who look, slower when very many do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from solo_app.batches.live import COST, SHARE, TICK, Ticker
from solo_app.batches.producer import RateMeter
from tests.workbench import open_service, until

pytestmark = pytest.mark.anyio


async def test_all_who_look_share_one_snapshot(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        ticker = Ticker(service)
        ticking = asyncio.create_task(ticker.run())
        await service.start("b")
        await until(lambda: service.totals().row_count >= 1)
        snapshots = await asyncio.gather(*(ticker.next() for _ in range(50)))
        assert len({id(snapshot) for snapshot in snapshots}) == 1
        assert snapshots[0].totals.running == 1
        assert [r.batch.batch_id for r in snapshots[0].running] == ["b"]
        assert snapshots[0].running[0].latest is not None
        assert not snapshots[0].slowed
        assert ticker.viewers == 0
        ticking.cancel()


async def test_ticks_come_slower_when_very_many_look_and_say_so(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        ticker = Ticker(service)
        many = int(2 * TICK * SHARE / COST)
        looking = [asyncio.create_task(ticker.next()) for _ in range(many)]
        await until(lambda: ticker.viewers == many)
        ticking = asyncio.create_task(ticker.run())
        snapshots = await asyncio.gather(*looking)
        assert snapshots[0].slowed
        assert snapshots[0].interval == pytest.approx(2 * TICK)
        ticking.cancel()


async def test_one_who_goes_away_takes_nothing_from_the_others(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        ticker = Ticker(service)
        gone, stays = asyncio.create_task(ticker.next()), asyncio.create_task(ticker.next())
        await until(lambda: ticker.viewers == 2)
        gone.cancel()
        ticking = asyncio.create_task(ticker.run())
        assert (await stays).totals.batches == 0
        assert ticker.viewers == 0
        ticking.cancel()


def test_the_rate_is_the_mean_of_the_last_whole_seconds() -> None:
    now = 100.0
    meter = RateMeter(lambda: now)
    for step in range(40):
        now = 100 + step * 0.25
        meter.add(1)
    assert meter.per_second == 4
    now = 130
    assert meter.per_second == 0
