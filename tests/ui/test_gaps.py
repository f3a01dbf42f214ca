"""Points that a repair found lost: a page counts them, and gives no other point their numbers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import Batch, BatchStatus, Point, Run
from solo_app.ui.states.batch import BatchState
from solo_app.ui.states.home import HomeState
from solo_app.ui.states.newest import newest
from tests.ui.shown import WHOLE, shown
from tests.ui.tabs import open_tabs
from tests.workbench import HandClock, Script, counting, open_service, until

pytestmark = pytest.mark.anyio

POINTS = 60
BEGAN = datetime(2026, 3, 1)


@pytest.mark.parametrize(
    ("lost", "seen"),
    [
        ((55, 56), [51, 52, 53, 54, 57, 58, 59, 60]),
        ((58, 60), [51, 52, 53, 54, 55, 56, 57]),
        ((50, 60), [*range(40, 50)]),
        ((20, 60), [*range(10, 20)]),
        ((2, 60), [1]),
        ((1, 60), []),
    ],
)
async def test_what_is_left_is_shown_by_its_own_numbers(
    tmp_path: Path, lost: tuple[int, int], seen: list[int]
) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database, many=counting(POINTS)) as service:
        await service.start("b", "many")
        await until(lambda: not service.running())
    with duckdb.connect(database) as connection:
        connection.execute("DELETE FROM points WHERE seq BETWEEN ? AND ?", lost)
    clock = HandClock("2036-03-01")
    script = Script(clock)
    async with open_tabs(database, clock, script=script) as tabs:
        await tabs.open("b", "b")
        await tabs.look("b", BatchState)
        await until(lambda: tabs.ticks_of["b"])
        assert [seq for seq, *_ in shown(tabs, "b").points] == seen
        assert [key for *_, key in shown(tabs, "b").points] == seen
        assert shown(tabs, "b").last_seq == POINTS
        await tabs.ticks(3)
        assert len(tabs.ticks_of["b"]) == 1
        await tabs.service.start("b", "script")
        await tabs.open("home")
        await tabs.look("home", HomeState)
        script.say(clock.now, 7)
        await until(lambda: shown(tabs, "b").last_seq == POINTS + 1)
        assert [seq for seq, *_ in shown(tabs, "b").points] == [*seen, POINTS + 1][-10:]
        assert tabs.ticks_of["b"][-1][WHOLE] == 0
        await until(lambda: tabs.ticks_of["home"])
        await until(lambda: [last for last, *_ in tabs.ticks_of["home"][-1][-1]] == [POINTS + 1])


async def test_a_lost_end_after_a_file_that_is_missing_is_told_and_nothing_more() -> None:
    class Damaged:
        """The second half of twenty points is lost, the file of the first is missing."""

        def row_count(self, _: object) -> int:
            return 20

        async def points(
            self, _: str, after: int, limit: int, with_backoff: bool = False
        ) -> list[Point]:
            if after < 10:
                raise StoreUnavailableError("1.parquet is missing")
            return []

    run = Run(1, "random", BatchStatus.STOPPED, BEGAN, 1, BEGAN, 20)
    news = await newest(Damaged(), Batch(1, "b", run), None, 10)  # type: ignore[arg-type]
    assert (news.last_seq, news.keys, news.lacks) == (20, [], "1.parquet is missing")
