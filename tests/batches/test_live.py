"""The ticker: snapshots for all who look, spread over time, slower when very many do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from solo_app.batches import live
from solo_app.batches.live import COST, SHARE, STEP, TICK, Snapshot, Ticker, next_moment, phase_of
from solo_app.batches.producer import RateMeter
from tests.workbench import open_service, until

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def looking(ticker: Ticker, count: int) -> AsyncIterator[list[list[tuple[float, Snapshot]]]]:
    """So many who look; of each the snapshots it got, and when."""
    got: list[list[tuple[float, Snapshot]]] = [[] for _ in range(count)]
    now = asyncio.get_running_loop().time

    async def look(mine: list[tuple[float, Snapshot]]) -> None:
        async with aclosing(ticker.ticks()) as ticks:
            async for snapshot in ticks:
                mine.append((now(), snapshot))

    tasks = [asyncio.create_task(look(mine)) for mine in got]
    try:
        yield got
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_who_begins_to_look_sees_at_once_how_everything_stands(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await until(lambda: service.totals().row_count >= 1)
        async with aclosing(Ticker(service).ticks()) as ticks:
            snapshot = await anext(ticks)
        assert snapshot.totals.running == 1
        assert [r.batch.batch_id for r in snapshot.running] == ["b"]
        assert snapshot.running[0].row_count >= 1
        assert not snapshot.slowed


async def test_what_takes_time_is_done_once_for_all_who_ask_meanwhile(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        snapshot = Ticker(service).snapshot()
    begun: list[asyncio.Future[str]] = []

    async def work() -> str:
        begun.append(asyncio.get_running_loop().create_future())
        return await begun[-1]

    first, *others = [asyncio.create_task(snapshot.once("it", work)) for _ in range(4)]
    await until(lambda: len(begun) == 1)
    first.cancel()  # A tab that is closed takes nothing from the others.
    await until(lambda: len(begun) == 2)
    begun[1].set_exception(LookupError())
    await until(lambda: len(begun) == 3)
    begun[2].set_result("done")
    ended = await asyncio.gather(first, *others, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == [
        "CancelledError",
        "LookupError",
        "str",
        "str",
    ]
    assert await snapshot.once("it", work) == "done"
    assert len(begun) == 3


async def test_those_who_look_at_one_moment_share_one_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STEP", TICK)  # A busy machine takes longer than a moment for fifty.
    async with open_service(tmp_path / "solo.duckdb") as service:
        ticker = Ticker(service)
        async with looking(ticker, 50) as got:
            await until(lambda: ticker.viewers == 50)
            assert len({id(mine[0][1]) for mine in got}) == 1
        assert ticker.viewers == 0


@pytest.mark.parametrize("interval", [TICK, 4 * TICK])
def test_many_who_look_are_spread_over_the_tick(interval: float) -> None:
    now, moments = 1_234.567, round(interval / STEP)
    due = [round(next_moment(now, phase_of(i), interval) / STEP) for i in range(10 * moments)]
    assert len(set(due)) == moments
    assert max(due.count(moment) for moment in due) <= 12
    assert now < min(due) * STEP
    assert max(due) * STEP <= now + interval + STEP


def test_ticks_are_an_interval_apart_also_for_one_who_is_late() -> None:
    first = next_moment(1_234.567, 0.3, TICK)
    assert next_moment(first, 0.3, TICK) == pytest.approx(first + TICK)
    assert next_moment(first + 0.7 * TICK, 0.3, TICK) == pytest.approx(first + TICK)


async def test_ticks_come_slower_when_very_many_look_and_say_so(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        ticker = Ticker(service)
        many = int(2 * TICK * SHARE / COST)
        async with looking(ticker, many):
            await until(lambda: ticker.viewers == many)
            assert ticker.interval == pytest.approx(2 * TICK)
            async with aclosing(ticker.ticks()) as ticks:
                await anext(ticks)
                snapshot = await anext(ticks)
            assert snapshot.slowed
            assert snapshot.interval == pytest.approx(3 * TICK)
        assert ticker.interval == TICK


async def test_one_who_goes_away_takes_nothing_from_the_others(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        ticker = Ticker(service)
        async with looking(ticker, 1) as got:
            async with looking(ticker, 1):
                await until(lambda: ticker.viewers == 2)
            seen = len(got[0])
            await until(lambda: len(got[0]) > seen)
            assert ticker.viewers == 1


def test_the_rate_is_the_mean_of_the_last_whole_seconds() -> None:
    now = 100.0
    meter = RateMeter(lambda: now)
    for step in range(40):
        now = 100 + step * 0.25
        meter.add(1)
    assert meter.per_second == 4
    now = 130
    assert meter.per_second == 0
