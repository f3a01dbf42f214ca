"""The log of a batch: limits, order, and writes that do not depend on the source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from solo_app.batches.log import MAX_LINE_LENGTH, MAX_LINES_PER_SECOND
from solo_app.batches.models import LOG_LINES, Batch, LogLevel, LogLine
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, FakeClock, Talker, open_service, wait_until

pytestmark = pytest.mark.anyio

NEVER = 1e9
"""An interval longer than any test."""


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
async def service(
    storage: MemoryStorage, clock: FakeClock, talker: Talker
) -> AsyncIterator[BatchService]:
    timing = replace(FAST_RETRY, log_delay=NEVER)
    async with open_service(storage, clock, timing=timing, talker=talker.kind) as opened:
        yield opened


@pytest.fixture
async def batch(service: BatchService) -> Batch:
    batch = await service.start("b", "talker")
    await wait_until(lambda: service.row_count(batch))
    return batch


async def output(service: BatchService) -> list[str]:
    return [line.text for line in await service.log("b") if line.level is LogLevel.OUTPUT]


async def test_output_has_a_number_a_time_and_its_run(
    service: BatchService, batch: Batch, talker: Talker, clock: FakeClock
) -> None:
    started = clock.now
    clock.advance(seconds=5)
    talker.log("hello")
    first, second = await service.log("b")
    assert first == LogLine(1, started, 1, LogLevel.INFO, "Started with source talker.")
    assert second == LogLine(2, clock.now, 1, LogLevel.OUTPUT, "hello")
    assert service.last_log_number(batch) == 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\ntwo\r\nthree\n", ["one", "two", "three"]),
        ("a\tb\x1bred\x00", ["a b red "]),
        ("\ud800", [" "]),
        ("21 °C", ["21 °C"]),
        ("\x1b[1;31mred\x1b[0m \x1b[Ktext", ["red text"]),
        ("x" * MAX_LINE_LENGTH, ["x" * MAX_LINE_LENGTH]),
        ("x" * (MAX_LINE_LENGTH + 1), ["x" * (MAX_LINE_LENGTH - 1) + "…"]),
        ("", []),
    ],
)
async def test_output_is_split_cleaned_and_cut(
    service: BatchService, batch: Batch, talker: Talker, text: str, lines: list[str]
) -> None:
    talker.log(text)
    assert await output(service) == lines


async def test_lines_beyond_the_rate_limit_are_counted(
    service: BatchService, batch: Batch, talker: Talker, clock: FakeClock
) -> None:
    for _ in range(2):
        clock.advance(seconds=1)
        for _ in range(600):
            talker.log("a\nb")
    clock.advance(seconds=1)
    talker.log("later")
    lines = [line.text for line in await service.log("b")]
    assert lines[1:] == [
        *["a", "b"] * 50,
        "1,100 lines dropped",
        *["a", "b"] * 49,
        "a",
        "1,101 lines dropped",
        "later",
    ]
    assert len(lines) <= 1 + 2 * MAX_LINES_PER_SECOND + 2


async def test_errors_are_logged_despite_the_rate_limit(
    service: BatchService, batch: Batch, talker: Talker
) -> None:
    talker.log("x\n" * 500)
    await service.stop("b")
    # The start of the run counts too.
    assert [line.text for line in await service.log("b")][-3:] == [
        "x",
        "401 lines dropped",
        "Stopped.",
    ]


async def test_only_the_latest_lines_are_kept(
    service: BatchService, batch: Batch, talker: Talker, clock: FakeClock
) -> None:
    for n in range(LOG_LINES):
        clock.advance(seconds=1)
        talker.log(f"line {n}")
    for _ in range(2):
        lines = await service.log("b")
        assert len(lines) == LOG_LINES
        assert [line.number for line in lines] == [*range(lines[0].number, lines[-1].number + 1)]
        await service.stop("b")
    assert lines[-1].number == LOG_LINES + 2


async def test_numbers_continue_in_the_next_run(
    service: BatchService, batch: Batch, talker: Talker
) -> None:
    await service.stop("b")
    await service.start("b", "talker")
    assert [(line.number, line.run, line.text) for line in await service.log("b")] == [
        (1, 1, "Started with source talker."),
        (2, 1, "Stopped."),
        (3, 2, "Started with source talker."),
    ]


async def test_stop_writes_all_lines(
    service: BatchService, batch: Batch, talker: Talker, storage: MemoryStorage
) -> None:
    talker.log("hello")
    assert await storage.log(batch.no) == []
    await service.stop("b")
    texts = [line.text for line in await storage.log(batch.no)]
    assert texts == ["Started with source talker.", "hello", "Stopped."]
    assert storage.log_writes.calls == 1


async def test_source_that_was_abandoned_logs_nothing(
    service: BatchService, batch: Batch, talker: Talker
) -> None:
    await service.stop("b")
    talker.log("late")
    await service.start("c")
    assert await output(service) == []


async def test_lines_are_written_together_after_a_delay(
    storage: MemoryStorage, talker: Talker
) -> None:
    timing = replace(FAST_RETRY, log_delay=0.01)
    async with open_service(storage, timing=timing, talker=talker.kind) as service:
        batch = await service.start("b", "talker")
        await wait_until(lambda: storage.log_writes.calls)
        storage.log_writes.hold()
        for n in range(50):
            talker.log(f"line {n}")
        await wait_until(lambda: storage.log_writes.waiting)
        calls = storage.log_writes.calls
        storage.log_writes.open()
        await wait_until(lambda: not storage.log_writes.waiting)
        assert len(await storage.log(batch.no)) == 51
        assert storage.log_writes.calls == calls


async def test_dropped_lines_are_reported_once_the_flood_ends(
    storage: MemoryStorage, clock: FakeClock, talker: Talker
) -> None:
    timing = replace(FAST_RETRY, log_delay=0.01)
    async with open_service(storage, clock, timing=timing, talker=talker.kind) as service:
        batch = await service.start("b", "talker")
        await wait_until(lambda: service.row_count(batch))
        talker.log("x\n" * 500)
        clock.advance(seconds=1)
        await wait_until(lambda: service.last_log_number(batch) == 101)
        assert (await service.log("b"))[-1].text == "401 lines dropped"


async def test_failing_writes_are_retried_and_reported(
    storage: MemoryStorage, clock: FakeClock, talker: Talker
) -> None:
    timing = replace(FAST_RETRY, log_delay=0.01)
    async with open_service(storage, clock, timing=timing, talker=talker.kind) as service:
        batch = await service.start("b", "talker")
        storage.log_writes.fail("no room")
        await wait_until(lambda: service.totals().write_error == "no room")
        for n in range(2 * LOG_LINES):
            clock.advance(seconds=1)
            talker.log(f"line {n}")
        assert len(await service.log("b")) == LOG_LINES
        storage.log_writes.open()
        await wait_until(lambda: service.totals().write_error is None)
        await service.stop("b")
        lines = await storage.log(batch.no)
        assert lines == await service.log("b")
        assert len(lines) == LOG_LINES


async def test_failing_log_does_not_delay_points(
    storage: MemoryStorage, service: BatchService, batch: Batch
) -> None:
    storage.log_writes.hold()
    stop = asyncio.create_task(service.stop("b"))
    await wait_until(lambda: storage.log_writes.waiting)
    other = await service.start("other")
    await wait_until(lambda: service.row_count(other) > 3)
    storage.log_writes.open()
    await stop


async def test_failing_source_logs_no_output_beyond_the_limit(
    storage: MemoryStorage, clock: FakeClock
) -> None:
    async def read(_: Parameters, context: RunContext) -> AsyncIterator[Numbers]:
        context.log("x\n" * 200)
        raise LookupError("nothing there")
        yield 1.0

    kind = SourceKind("broken", "For tests.", Parameters, read)
    timing = replace(FAST_RETRY, restart_delay=0.001, max_restart_delay=0.001)
    async with open_service(storage, clock, timing=timing, broken=kind) as service:
        batch = await service.start("b", "broken")
        await wait_until(lambda: service.last_log_number(batch) > 110)
        assert len(await output(service)) == MAX_LINES_PER_SECOND - 1  # The start counts too.


async def test_writes_of_lines_do_not_overlap(storage: MemoryStorage, talker: Talker) -> None:
    timing = replace(FAST_RETRY, log_delay=0.01)
    async with open_service(storage, timing=timing, talker=talker.kind) as service:
        storage.log_writes.hold()
        batch = await service.start("b", "talker")
        await wait_until(lambda: storage.log_writes.waiting)
        talker.log("hello")
        stop = asyncio.create_task(service.stop("b"))
        await wait_until(lambda: service.last_log_number(batch) == 3)
        assert storage.log_writes.waiting == 1
        storage.log_writes.open()
        await stop
        assert len(await storage.log(batch.no)) == 3
