"""The task of a run: bounded memory, no blocked event loop, and restarts of its source."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
import pytest

from solo_app.batches.errors import SourceError
from solo_app.batches.ingest import BUFFER_POINTS, MAX_POINTS_PER_APPEND
from solo_app.batches.models import BatchStatus, LogLevel, RestartPolicy
from solo_app.batches.producer import Producer
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.batches.timing import Timing
from solo_app.sources.random import random_kind
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    open_service,
    producer_tasks,
    wait_until,
)

pytestmark = pytest.mark.anyio


async def test_array_longer_than_the_buffer_is_split() -> None:
    numbers = np.arange(3.0 * BUFFER_POINTS + 7)

    async def long() -> AsyncIterator[Numbers]:
        yield numbers[:5]
        yield numbers[5:]

    storage = MemoryStorage()
    async with open_service(storage, long=long) as service:
        await service.start("b", "long")
        await wait_until(lambda: service.batch("b").status is BatchStatus.FINISHED)
        stored = await storage.points(1, 0, len(numbers) + 1)
    assert [point.key for point in stored] == numbers.tolist()
    assert [point.seq for point in stored] == list(range(1, len(numbers) + 1))
    assert max(len(block.ts) for block in storage.written) <= BUFFER_POINTS
    parts = [len(list(group)) for _, group in groupby(stored, lambda point: point.ts)]
    assert parts == [5, *[MAX_POINTS_PER_APPEND] * 6, 2]


async def test_producer_waits_while_its_buffer_is_full() -> None:
    storage = MemoryStorage()
    storage.writes.hold()
    async with open_service(storage, flood=random_kind(0)) as service:
        producer = service.producer(await service.start("b", "flood"))
        assert producer
        buffer = producer.buffer
        await wait_until(lambda: storage.writes.waiting and buffer.pending >= BUFFER_POINTS)
        # A block is in flight, and the buffer is full again.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(buffer.wait_for_capacity(), 0.01)
        assert buffer.uncommitted <= 2 * BUFFER_POINTS
        storage.writes.open()
        await service.stop("b")


async def yield_without_waiting() -> AsyncIterator[Numbers]:
    while True:
        yield 1.0


async def yield_empty_arrays() -> AsyncIterator[Numbers]:
    while True:
        yield np.array([])


@pytest.mark.parametrize("source", [yield_without_waiting, yield_empty_arrays])
async def test_source_that_never_waits_does_not_block_others(source: object) -> None:
    async with open_service(MemoryStorage(), greedy=source) as service:  # type: ignore[arg-type]
        await service.start("greedy", "greedy")
        calm = await service.start("calm")
        await wait_until(lambda: service.row_count(calm) >= 5)
        greedy = await service.stop("greedy")
        assert greedy.run.last_seq == service.row_count(greedy)
        assert bool(greedy.run.last_seq) is (source is yield_without_waiting)


# -- restarts --------------------------------------------------------------------------------

QUICK = Timing(restart_delay=0.001, max_restart_delay=0.06)
"""The default delays, a thousand times shorter. They are reset after a minute."""


async def start_restarting(service: BatchService, source: str) -> Producer:
    """Start a run whose source is restarted when it raises."""
    batch = await service.start("b", source, restart=RestartPolicy.ON_FAILURE)
    producer = service.producer(batch)
    assert producer
    return producer


async def texts(service: BatchService, level: LogLevel) -> list[str]:
    return [line.text for line in await service.log("b") if line.level is level]


def test_default_delays_are_the_documented_ones() -> None:
    timing = Timing()
    assert (timing.restart_delay, timing.max_restart_delay, timing.restart_reset) == (1, 60, 60)


async def test_delay_doubles_up_to_its_maximum(storage: MemoryStorage, clock: FakeClock) -> None:
    shown: dict[int, datetime] = {}

    def broken() -> AsyncIterator[Numbers]:
        if producer and producer.retry:
            shown[producer.retry.attempt] = producer.retry.next_at
        raise LookupError("nothing there")

    producer: Producer | None = None
    async with open_service(storage, clock, timing=QUICK, broken=broken) as service:
        producer = await start_restarting(service, "broken")
        await wait_until(lambda: len(shown) == 8)
        assert [(n, (at - clock.now) / timedelta(seconds=0.001)) for n, at in shown.items()] == [
            *enumerate([1, 2, 4, 8, 16, 32, 60, 60], 1)
        ]
        batch = await service.stop("b")
        assert (batch.status, batch.run.number) == (BatchStatus.STOPPED, 1)
        assert (await texts(service, LogLevel.RETRY))[2:4] == [
            "Restarting in 0.004 s (attempt 3): LookupError: nothing there",
            "Restarting in 0.008 s (attempt 4): LookupError: nothing there",
        ]


async def test_restarted_source_continues_the_run(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(storage, clock, timing=QUICK, script=script) as service:
        producer = await start_restarting(service, "script")
        script.emit(clock.now, 1.0)
        script.emit(clock.now, float("nan"))
        await wait_until(lambda: producer.retry)
        assert producer.retry
        assert producer.retry.error == "The source returned nan, which is not a finite number."
        assert service.running() == [producer.batch]
        script.emit(clock.now, 2.0)
        await wait_until(lambda: producer.committed_seq == 2)
        assert producer.retry is None
        script.finish()
        await wait_until(lambda: not service.running())
        run = service.batch("b").run
        assert (run.status, run.number, run.last_seq) == (BatchStatus.FINISHED, 1, 2)
        assert await texts(service, LogLevel.INFO) == [
            "Started with source script.",
            "Reading again.",
            "Finished.",
        ]


@pytest.mark.parametrize(("reset", "attempt"), [(0, 1), (60, 4)])
async def test_only_numbers_for_the_reset_time_reset_the_delay(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource, reset: float, attempt: int
) -> None:
    timing = replace(QUICK, restart_reset=reset)
    async with open_service(storage, clock, timing=timing, script=script) as service:
        await start_restarting(service, "script")
        for _ in range(3):  # Attempts without a number are no success, however long they last.
            script.fail(LookupError("early"))
        script.emit(clock.now, 1.0)
        await wait_until(lambda: service.totals().row_count)
        script.fail(LookupError("late"))
        await wait_until(lambda: service.last_log_number(service.batch("b")) == 6)
        retries = await texts(service, LogLevel.RETRY)
        assert [re.findall(r"attempt (\d)", text) for text in retries] == [
            ["1"],
            ["2"],
            ["3"],
            [str(attempt)],
        ]


async def test_source_without_a_number_since_its_restart_is_retrying(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(storage, clock, timing=QUICK, script=script) as service:
        producer = await start_restarting(service, "script")
        script.fail(LookupError("once"))
        await wait_until(lambda: producer.retry)
        clock.advance(hours=1)
        assert producer.retry
        script.emit(clock.now, 1.0)
        await wait_until(lambda: producer.retry is None)


async def test_source_that_always_fails_does_not_block_others(storage: MemoryStorage) -> None:
    def broken() -> AsyncIterator[Numbers]:
        raise LookupError("nothing there")

    timing = Timing(restart_delay=0.001, max_restart_delay=0.001)
    async with open_service(storage, timing=timing, broken=broken) as service:
        producer = await start_restarting(service, "broken")
        others = [await service.start(f"other{n}") for n in range(4)]
        await wait_until(lambda: producer.retry and producer.retry.attempt > 20)
        await wait_until(lambda: all(service.row_count(batch) > 5 for batch in others))
        assert len(service.running()) == 5


@pytest.mark.parametrize("ending", ["stop", "shutdown"])
async def test_run_can_end_while_its_source_waits_for_a_restart(
    storage: MemoryStorage, ending: str
) -> None:
    def broken() -> AsyncIterator[Numbers]:
        raise LookupError("nothing there")

    async with open_service(storage, broken=broken) as service:
        producer = await start_restarting(service, "broken")
        await wait_until(lambda: producer.retry)
        await (service.stop("b") if ending == "stop" else service.end_runs())
        status = BatchStatus.STOPPED if ending == "stop" else BatchStatus.INTERRUPTED
        assert service.batch("b").status is status
        assert producer_tasks() == []


async def test_error_during_cancellation_does_not_restart_the_source(
    storage: MemoryStorage,
) -> None:
    starts = []

    async def breaks_on_cancel() -> AsyncIterator[Numbers]:
        starts.append(1)
        try:
            yield 1.0
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("closed")

    async with open_service(storage, timing=QUICK, source=breaks_on_cancel) as service:
        producer = await start_restarting(service, "source")
        await wait_until(lambda: producer.committed_seq)
        assert (await service.stop("b")).status is BatchStatus.STOPPED
        assert isinstance(producer.task.exception(), ConnectionError)
        assert starts == [1]


async def test_source_that_awaits_a_cancelled_task_is_restarted(storage: MemoryStorage) -> None:
    async def awaits_cancelled() -> AsyncIterator[Numbers]:
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner
        yield 1.0

    async with open_service(storage, source=awaits_cancelled) as service:
        producer = await start_restarting(service, "source")
        await wait_until(lambda: producer.retry)
        assert producer.retry
        assert producer.retry.error == "CancelledError"


@pytest.mark.parametrize("restart", RestartPolicy)
async def test_source_that_exits_does_not_end_the_app(
    storage: MemoryStorage, restart: RestartPolicy
) -> None:
    async def exits() -> AsyncIterator[Numbers]:
        sys.exit(3)
        yield 1.0

    async with open_service(storage, exits=exits) as service:
        producer = service.producer(await service.start("b", "exits", restart=restart))
        assert producer
        await wait_until(lambda: producer.retry or producer.has_ended)
        if restart is RestartPolicy.NEVER:
            assert producer.batch.run.reason == "SystemExit: 3"
        else:
            assert producer.retry
            assert producer.retry.error == "SystemExit: 3"


async def test_restart_is_logged_in_one_line(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> AsyncIterator[Numbers]:
        raise LookupError("two\nlines")

    async with open_service(storage, broken=broken) as service:
        producer = await start_restarting(service, "broken")
        await wait_until(lambda: producer.retry)
    assert caplog.messages == [
        'Source of "b" failed, restarting in 1 s: LookupError: two lines',
    ]
    assert not caplog.records[0].exc_info


@pytest.mark.parametrize(
    ("error", "reason"),
    [(SourceError("HTTP 503"), "HTTP 503"), (LookupError("missing"), "LookupError: missing")],
)
async def test_only_unexpected_errors_are_logged_with_a_traceback(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    def broken() -> AsyncIterator[Numbers]:
        raise error

    async with open_service(storage, broken=broken) as service:
        await service.start("b", "broken")
        await wait_until(lambda: not service.running())
    assert caplog.messages == [f'Batch "b" failed: {reason}']
    assert bool(caplog.records[0].exc_info) == isinstance(error, LookupError)


@pytest.mark.parametrize("failure", [RuntimeError("no luck"), float("nan")])
async def test_source_is_not_restarted_by_default(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource, failure: object
) -> None:
    async with open_service(storage, clock, timing=QUICK, script=script) as service:
        await service.start("b", "script")
        if isinstance(failure, Exception):
            script.fail(failure)
        else:
            script.emit(clock.now, failure)
        await wait_until(lambda: not service.running())
        run = service.batch("b").run
        assert (run.status, run.restart) == (BatchStatus.FAILED, RestartPolicy.NEVER)
        assert await texts(service, LogLevel.ERROR) == [run.reason]
        assert await texts(service, LogLevel.RETRY) == []
