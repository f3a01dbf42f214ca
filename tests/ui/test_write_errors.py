"""While writes fail, pages show the error and the committed data."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from solo_app.batches.models import to_microseconds, utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.batches.timing import Timing
from solo_app.sources.random import random_kind
from solo_app.ui.components.layout import banners
from solo_app.ui.state.batch import BatchState, MinutesState
from solo_app.ui.state.home import HomeState
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, FakeClock, ScriptedSource, silent, wait_until
from tests.ui.tabs import open_tabs, tabs_on

pytestmark = pytest.mark.anyio


async def test_pages_show_write_errors_and_archive_errors() -> None:
    storage = MemoryStorage()
    retention = Retention(storage, timedelta(days=1), utc_now)
    kinds = {"random": random_kind(0.01)}
    service = BatchService(storage, kinds, retention=retention, timing=FAST_RETRY)
    await service.open()
    await service.start("b")
    async with tabs_on(service) as tabs:
        pages = [await tabs.open_home_page("home"), await tabs.open_batch_page("b", "b")]

        def shown() -> set[tuple[str, str]]:
            return {(page.write_error, page.archive_error) for page in pages}

        storage.writes.fail("no room")
        retention.archive_error = "no folder"
        await wait_until(lambda: shown() == {("no room", "no folder")})
        storage.writes.open()
        retention.archive_error = None
        await wait_until(lambda: shown() == {("", "")})
    await service.close()


@pytest.mark.parametrize("state", [HomeState, BatchState])
def test_banners_contain_the_errors(state: type) -> None:
    rendered = str(banners(state))
    assert "write_error" in rendered
    assert "archive_error" in rendered


async def test_pages_show_committed_data_while_writes_fail() -> None:
    storage = MemoryStorage()
    clock = FakeClock("2012-11-11 07:00:30")
    script = ScriptedSource(clock)
    async with open_tabs(storage, clock, script=script) as tabs:
        service = tabs.service
        for batch_id, now in (("ended", clock.now), ("b", datetime(2012, 11, 11, 10))):
            batch = await service.start(batch_id, "script")
            script.emit(now, 1.0)
            await wait_until(lambda: service.row_count(batch) == 1)  # noqa: B023
            if batch_id == "ended":
                await service.stop(batch_id)
        page = await tabs.open_batch_page("b", "b")
        storage.writes.fail("no room")
        script.emit(clock.now + timedelta(seconds=30), 2.0)
        await wait_until(lambda: page.write_error)
        clock.set("2012-11-11 10:01:05")
        await wait_until(lambda: page.minute.count == 1)
        await wait_until(lambda: page.chart_end == to_microseconds(clock.now))
        other = await tabs.open_batch_page("ended", "ended")
        assert "no room" in other.write_error
        minutes = await tabs.state("ended", MinutesState)
        assert [row["count"] for row in minutes.table] == [1]
        storage.writes.open()
        await wait_until(lambda: page.minute.count == 2 and not page.write_error)


async def test_page_without_data_shows_the_write_error() -> None:
    storage = MemoryStorage()
    async with open_tabs(storage) as tabs:
        await tabs.service.start("b")
        storage.writes.fail("no room")
        storage.run_reads.fail("no room")
        await tabs.open("b", "b")
        await tabs.start_updates("b", BatchState)
        page = await tabs.state("b", BatchState)
        await wait_until(lambda: page.write_error == "no room")
        storage.writes.open()


async def test_page_without_data_does_not_name_the_previous_batch() -> None:
    storage = MemoryStorage()
    async with open_tabs(storage, silent=silent) as tabs:
        for batch_id in ("a", "b"):
            await tabs.service.start(batch_id, "silent")
        page = await tabs.open_batch_page("a", "a")
        storage.run_reads.fail("disk error")
        await tabs.open("a", "b")
        await tabs.start_updates("a", BatchState)
        await wait_until(lambda: page.read_error)
        assert (page.title, page.status) == ("SOLO", "")
        storage.run_reads.open()
        await wait_until(lambda: page.title == "b · Running · SOLO" and not page.read_error)


async def test_pages_show_the_error_of_a_failed_stop() -> None:
    storage = MemoryStorage()
    timing = Timing(retry_interval=0.01, stop_grace_period=0)
    async with open_tabs(storage, timing=timing, silent=silent) as tabs:
        await tabs.service.start("b", "silent")
        page = await tabs.open_batch_page("b", "b")
        storage.ends.fail("no room")
        await tabs.send("b", BatchState, "stop")
        assert "no room" in page.error
        assert page.status == "running"
        await tabs.open("home")
        await tabs.send("home", HomeState, "stop", batch_id="b")
        assert "no room" in tabs.sent_events("home")
        storage.ends.open()
        await wait_until(lambda: page.status == "stopped" and not page.error)


@pytest.mark.parametrize("reason", ["", "no room"])
async def test_result_of_a_slow_stop_does_not_change_another_page(reason: str) -> None:
    storage = MemoryStorage()
    timing = Timing(retry_interval=0.01, stop_grace_period=0)
    async with open_tabs(storage, timing=timing, silent=silent) as tabs:
        await tabs.service.start("b", "silent")
        await tabs.open("tab", "b")
        storage.ends.hold()
        stop = await tabs.enqueue("tab", BatchState, "stop")
        await wait_until(lambda: storage.ends.waiting)
        await tabs.open("tab", "other")
        if reason:
            storage.ends.fail(reason)
        else:
            storage.ends.open()
        await stop
        assert (await tabs.state("tab", BatchState)).error == ""
        scripts = tabs.sent_events("tab")
        assert (reason or "Stopped b") in scripts
        assert "_redirect {'path': '/'" not in scripts
        storage.ends.open()
