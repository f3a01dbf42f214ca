"""A missing archive file: pages show the other points, and all points once it is restored."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.retention import Retention
from solo_app.storage.duckdb.store import DuckDBStore
from solo_app.ui.components.layout import banners
from solo_app.ui.state.batch import BatchState
from solo_app.ui.state.home import HomeState
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource, counting, open_service, wait_until
from tests.ui.tabs import open_tabs, tabs_on

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 1)


@pytest.mark.parametrize("is_running", [True, False])
async def test_pages_show_the_other_points(tmp_path: Path, is_running: bool) -> None:
    clock = FakeClock(START.isoformat())
    script = ScriptedSource(clock)
    database = tmp_path / "solo.duckdb"
    store = DuckDBStore(database)
    async with open_service(store, clock, script=script) as service:
        batch = await service.start("b", "script")
        for n in range(5):
            script.emit(START + timedelta(seconds=n), n)
        await wait_until(lambda: service.row_count(batch) == 5)
        await service.stop("b")
        clock.advance(days=3)
        retention = Retention(store, timedelta(days=1), clock)
        assert await retention.archive_old_points() == 5
    (file,) = (tmp_path / "solo.duckdb.archive").iterdir()
    aside = file.rename(tmp_path / "aside")
    async with open_tabs(database, clock, script=script) as tabs:
        if is_running:
            batch = await tabs.service.start("b", "script")
            script.emit(clock.now, 6)
            await wait_until(lambda: tabs.service.row_count(batch) == 6)
        page, home = await tabs.open_batch_page("b", "b"), await tabs.open_home_page("home")
        await wait_until(lambda: page.read_error)
        assert file.name in page.read_error
        assert page.status == ("running" if is_running else "stopped")
        assert [row["batch_id"] for row in home.rows] == ["b"]
        assert [point["seq"] for point in page.points] == ([6] if is_running else [])
        if is_running:
            assert file.name in home.read_error
            script.emit(clock.now, 7)
            await wait_until(lambda: page.row_count == 7)
            assert page.points_in_minute == 2
        aside.rename(file)
        await wait_until(lambda: len(page.points) == (7 if is_running else 5))
        await wait_until(lambda: not page.read_error and not home.read_error)


async def test_read_error_is_not_shown_for_another_batch() -> None:
    storage = MemoryStorage()
    async with open_service(storage, few=counting(5)) as service, tabs_on(service) as tabs:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        storage.reads.fail("1.parquet is missing")
        await tabs.open("tab", "b")
        await tabs.start_updates("tab", BatchState)
        page = await tabs.state("tab", BatchState)
        await wait_until(lambda: page.read_error)
        await tabs.open("tab", "unknown")
        await tabs.start_updates("tab", BatchState)
        await wait_until(lambda: page.batch_id == "unknown")
        assert page.read_error == ""
        storage.reads.open()


@pytest.mark.parametrize("state", [HomeState, BatchState])
def test_banners_contain_the_read_error(state: type) -> None:
    assert "read_error" in str(banners(state))
