"""What goes wrong with the disk is told on every page, and for as long as it does."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from solo_app.batches import ingest
from solo_app.batches.model import to_microseconds
from solo_app.batches.retention import Retention
from solo_app.ui.components.frame import banners
from solo_app.ui.states.batch import BatchState, MinutesState
from solo_app.ui.states.home import HomeState
from tests.ui.shown import shown
from tests.ui.tabs import Tabs, open_tabs
from tests.workbench import Disk, HandClock, Script, silent, until

pytestmark = pytest.mark.anyio


async def test_both_pages_tell_why_points_wait_and_why_old_ones_are_not_archived(
    tmp_path: Path,
) -> None:
    async with open_tabs(tmp_path / "solo.duckdb", silent=silent) as tabs:
        service = tabs.service
        service.retention = Retention(service._store, timedelta(days=1), service.clock)
        await service.start("b", "silent")
        pages: list[tuple[str, Any]] = [("home", HomeState), ("batch", BatchState)]
        for tab, state in pages:
            await tabs.open(tab, "b")
            await tabs.look(tab, state)
        for wrong in (True, False):
            service.retention.archive_error = "no folder" if wrong else None
            service._ingest.write_error = "no room" if wrong else None
            told = ("no room", "no folder") if wrong else ("", "")
            for tab, state in pages:
                async with asyncio.timeout(5):
                    while (await _troubles(tabs, tab, state)) != told:
                        await tabs.ticks()


async def _troubles(tabs: Tabs, tab: str, state: Any) -> tuple[str, str]:
    shown = await tabs.state(tab, state)
    return shown.trouble, shown.unarchived


@pytest.mark.parametrize("state", [HomeState, BatchState])
def test_the_line_is_on_the_page(state: type) -> None:
    line = str(banners(state))
    assert "trouble" in line
    assert "unarchived" in line


async def test_pages_go_on_with_what_is_written_while_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "RETRY_AFTER", 0.01)
    clock = HandClock("2012-11-11 07:00:30")
    script = Script(clock)
    async with open_tabs(tmp_path / "solo.duckdb", clock, script=script) as tabs:
        service = tabs.service
        for batch_id, now in (("ended", clock.now), ("b", datetime(2012, 11, 11, 10))):
            batch = await service.start(batch_id, "script")
            script.say(now, 1.0)
            await until(lambda: service.row_count(batch) == 1)  # noqa: B023
            if batch_id == "ended":
                await service.stop(batch_id)
        page = await _page(tabs, "b")
        disk = Disk(service, monkeypatch)
        disk.refuse()
        script.say(clock.now + timedelta(seconds=30), 2.0)
        await until(lambda: page.trouble)
        clock.set("2012-11-11 10:01:05")
        await until(lambda: page.minute.count == 1)
        await until(lambda: shown(tabs, "b").at == to_microseconds(clock.now))
        other = await _page(tabs, "ended")
        assert "no room" in other.trouble
        minutes = await tabs.state("ended", MinutesState)
        assert [count for *_, count in minutes.minutes] == [1]
        disk.take()
        await until(lambda: page.minute.count == 2 and not page.trouble)


async def test_a_page_that_shows_nothing_yet_tells_of_the_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_tabs(tmp_path / "solo.duckdb", silent=silent) as tabs:
        await tabs.service.start("b", "silent")
        monkeypatch.setattr(tabs.service, "runs", None)
        monkeypatch.setattr(tabs.service._ingest, "write_error", "no room")
        await tabs.open("b", "b")
        await tabs.look("b", BatchState)
        page = await tabs.state("b", BatchState)
        await until(lambda: page.trouble == "no room")


async def _page(tabs: Tabs, batch_id: str) -> Any:
    """Open the page of a batch in a tab of its own, and wait for what it shows first."""
    await tabs.open(batch_id, batch_id)
    await tabs.look(batch_id, BatchState)
    page = await tabs.state(batch_id, BatchState)
    await until(lambda: page.shown == batch_id)
    return page
