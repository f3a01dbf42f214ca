"""A file of the archive that is taken away: pages show the rest, and all of it when it is back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.retention import Retention
from solo_app.ui.components.frame import banners
from solo_app.ui.states.batch import BatchState
from solo_app.ui.states.home import HomeState
from tests.ui.shown import shown
from tests.ui.tabs import open_tabs
from tests.workbench import HandClock, Script, open_service, until

pytestmark = pytest.mark.anyio

BEGAN = datetime(2026, 3, 1)


@pytest.mark.parametrize("goes_on", [True, False])
async def test_pages_show_what_there_is_without_it(tmp_path: Path, goes_on: bool) -> None:
    clock = HandClock(BEGAN.isoformat())
    script = Script(clock)
    database = tmp_path / "solo.duckdb"
    async with open_service(database, clock, script=script) as service:
        batch = await service.start("b", "script")
        for n in range(5):
            script.say(BEGAN + timedelta(seconds=n), n)
        await until(lambda: service.row_count(batch) == 5)
        await service.stop("b")
        clock.advance(days=3)
        keeper = Retention(service._store, timedelta(days=1), clock)
        assert await keeper.archive_old_points() == 5
    (file,) = (tmp_path / "solo.duckdb.archive").iterdir()
    aside = file.rename(tmp_path / "aside")
    async with open_tabs(database, clock, script=script) as tabs:
        if goes_on:
            batch = await tabs.service.start("b", "script")
            script.say(clock.now, 6)
            await until(lambda: tabs.service.row_count(batch) == 6)
        for tab, state in (("b", BatchState), ("home", HomeState)):
            await tabs.open(tab, "b")
            await tabs.look(tab, state)
        page = await tabs.state("b", BatchState)
        home = await tabs.state("home", HomeState)
        await until(lambda: page.lacks and home.loaded)
        assert file.name in page.lacks
        assert page.status == ("running" if goes_on else "stopped")
        assert [row.batch_id for row in home.rows] == ["b"]
        assert [seq for seq, *_ in shown(tabs, "b").points] == ([6] if goes_on else [])
        if goes_on:
            assert file.name in home.lacks
            script.say(clock.now, 7)
            await until(lambda: shown(tabs, "b").last_seq == 7)
            assert shown(tabs, "b").count == 2
        sent = len(tabs.ticks_of["b"])
        await tabs.ticks(3)
        assert len(tabs.ticks_of["b"]) == sent
        aside.rename(file)
        await until(lambda: len(shown(tabs, "b").points) == (7 if goes_on else 5))
        await until(lambda: not page.lacks and not home.lacks)


@pytest.mark.parametrize("state", [HomeState, BatchState])
def test_the_line_is_on_the_page(state: type) -> None:
    assert "lacks" in str(banners(state))
