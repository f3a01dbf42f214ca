"""The values of the batch page: gaps in the minute chart, the table of minutes, and runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from solo_app.batches.models import MINUTE, MinuteAggregate, Run, Window, to_microseconds
from solo_app.batches.snapshots import Ticker
from solo_app.ui.state.batch_view import FIRST_RUNS, BatchView, ViewOptions
from solo_app.ui.state.minutes_view import minute_values
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    counting,
    open_service,
    silent,
    wait_until,
)

OPTIONS = ViewOptions(timedelta(hours=1))


def test_gaps_break_the_line_and_have_labels() -> None:
    start = datetime(2026, 3, 1, 12)
    window = Window(start, start + 60 * MINUTE)
    found = [MinuteAggregate(start + n * MINUTE, 2, 3.0, 1.0, 2.0) for n in (0, 1, 3, 20)]
    values = minute_values(window, found)
    first = to_microseconds(start)
    line = [((v["t"] - first) / 60e6, v["average"], v["range"]) for v in values["minutes"]]
    whole = (1.5, [1.0, 2.0])
    end = 1 - 1 / 60e6
    assert line == [
        *[(n, *whole) for n in (0, 1, 1 + end)],
        (2, None, None),
        *[(n, *whole) for n in (3, 3 + end)],
        (4, None, None),
        *[(n, *whole) for n in (20, 20 + end)],
        (21, None, None),
    ]
    gaps = [((g["start"] - first) / 60e6, (g["end"] - first) / 60e6) for g in values["gaps"]]
    assert gaps == [(4, 20), (21, 60)]
    assert [(row["t"] - first) / 60e6 for row in values["table"]] == [20, 3, 1, 0]
    assert values["minute_count"] == 4


def test_table_has_the_latest_minutes() -> None:
    start = datetime(2026, 3, 1)
    found = [MinuteAggregate(start + n * MINUTE, 1, 1.0, 1.0, 1.0) for n in range(100)]
    values = minute_values(Window(start, start + timedelta(hours=6)), found)
    assert [row["t"] for row in values["table"]] == [
        to_microseconds(start + n * MINUTE) for n in range(99, 39, -1)
    ]
    assert values["minute_count"] == 100


class RunRecorder(MemoryStorage):
    """A store that records the number of runs in each read."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    async def runs(self, batch_no: int, offset: int, limit: int) -> list[Run]:
        found = await super().runs(batch_no, offset, limit)
        self.counts.append(len(found))
        return found


@pytest.mark.anyio
async def test_only_the_shown_runs_are_read() -> None:
    storage, count = RunRecorder(), FIRST_RUNS + 3
    async with open_service(storage, silent=silent) as service:
        for _ in range(count):
            await service.start("b", "silent")
            await service.stop("b")
        view, ticker = BatchView(service, "b"), Ticker(service)
        for _ in range(2):
            values = (await view.values(ticker.snapshot(), OPTIONS)).batch
        assert [run.number for run in values["runs"]] == list(range(count, 3, -1))
        assert values["earlier_runs"] == 3
        assert storage.counts == [FIRST_RUNS]
        values = (
            await view.values(ticker.snapshot(), replace(OPTIONS, runs=FIRST_RUNS + 100))
        ).batch
        assert [run.number for run in values["runs"]] == list(range(count, 0, -1))
        assert values["earlier_runs"] == 0


@pytest.mark.anyio
@pytest.mark.parametrize("are_points_readable", [True, False])
async def test_ended_batch_has_its_last_minute_with_points(are_points_readable: bool) -> None:
    storage, clock = MemoryStorage(), FakeClock("2026-03-01 12:00:30")
    script = ScriptedSource(clock)
    async with open_service(storage, clock, script=script) as service:
        batch = await service.start("b", "script")
        for n in range(3):
            script.emit(clock.now + timedelta(seconds=n), n)
        await wait_until(lambda: service.row_count(batch) == 3)
        await service.stop("b")
        clock.advance(days=2)
        if not are_points_readable:
            storage.reads.fail()
        values = await BatchView(service, "b").values(Ticker(service).snapshot(), OPTIONS)
    minute = values.batch["minute"]
    assert (minute.count, minute.average) == (3, 1.0)
    assert minute.start == to_microseconds(datetime(2026, 3, 1, 12))


@pytest.mark.anyio
async def test_minute_of_ended_batch_without_points_does_not_change() -> None:
    clock = FakeClock("2026-03-01 12:00:30")
    async with open_service(MemoryStorage(), clock, silent=silent) as service:
        await service.start("b", "silent")
        await service.stop("b")
        view, minutes = BatchView(service, "b"), set()
        for _ in range(2):
            values = (await view.values(Ticker(service).snapshot(), OPTIONS)).batch
            minutes.add(values["minute"])
            clock.advance(hours=1)
    assert [(m.start, m.count) for m in minutes] == [(to_microseconds(datetime(2026, 3, 1, 12)), 0)]


@pytest.mark.anyio
async def test_page_of_batch_deleted_during_query_is_not_found() -> None:
    storage = MemoryStorage()
    async with open_service(storage, few=counting(3)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        view, snapshot = BatchView(service, "b"), Ticker(service).snapshot()
        assert (await view.values(snapshot, OPTIONS)).batch["kind"] == "batch"
        storage.run_reads.hold()
        query = asyncio.create_task(BatchView(service, "b").values(snapshot, OPTIONS))
        await wait_until(lambda: storage.run_reads.waiting)
        await service.delete("b")
        storage.run_reads.open()
        assert (await query).batch["kind"] == "unknown"
        assert (await view.values(snapshot, OPTIONS)).batch["kind"] == "unknown"
