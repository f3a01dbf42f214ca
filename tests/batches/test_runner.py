"""Starting and stopping: one task per batch, at most five at a time, and no leaked slots."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from solo_app.batches.errors import (
    BatchLimitReachedError,
    BatchNotFoundError,
    BatchRunningError,
    InvalidBatchIdError,
    ServiceClosedError,
    StoreUnavailableError,
    UnknownSourceError,
)
from solo_app.batches.models import BatchStatus, RestartPolicy, Run, utc_now
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.batches.timing import Timing
from tests.helpers.batch_ids import INVALID_IDS, VALID_IDS
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    StubbornSource,
    counting,
    open_service,
    producer_tasks,
    silent,
    wait_until,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(storage: MemoryStorage) -> AsyncIterator[BatchService]:
    async with open_service(storage, silent=silent) as opened:
        yield opened


async def start_all(service: BatchService, ids: list[str]) -> list[object]:
    """Start batches concurrently. Returns the batches, or the errors of those that failed."""
    return await asyncio.gather(*(service.start(i) for i in ids), return_exceptions=True)


# -- starting --------------------------------------------------------------------------------


async def test_fifty_concurrent_starts_start_five_batches(service: BatchService) -> None:
    results = await start_all(service, [f"b{n}" for n in range(50)])
    assert sum(not isinstance(r, Exception) for r in results) == BATCH_LIMIT == 5
    assert sum(isinstance(r, BatchLimitReachedError) for r in results) == 45
    assert len(producer_tasks()) == len(service.running()) == len(service.batches()) == 5


async def test_fifty_concurrent_starts_of_one_batch_start_it_once(service: BatchService) -> None:
    results = await start_all(service, ["b"] * 50)
    assert sum(not isinstance(r, Exception) for r in results) == 1
    assert sum(isinstance(r, BatchRunningError) for r in results) == 49
    assert producer_tasks() == ["producer:b:random"]


async def test_sixth_batch_is_refused(service: BatchService) -> None:
    for n in range(5):
        await service.start(f"b{n}")
    with pytest.raises(BatchLimitReachedError, match="Stop one") as error:
        await service.start("sixth")
    assert error.value.running == ["b0", "b1", "b2", "b3", "b4"]
    with pytest.raises(BatchNotFoundError):
        service.batch("sixth")


async def test_start_continues_after_its_caller_is_cancelled(
    service: BatchService, storage: MemoryStorage
) -> None:
    storage.starts.hold()
    start = asyncio.create_task(service.start("b"))
    await wait_until(lambda: storage.starts.waiting)
    start.cancel()
    storage.starts.open()
    await wait_until(lambda: service.running())
    assert producer_tasks() == ["producer:b:random"]


async def test_failed_start_occupies_no_slot(service: BatchService, storage: MemoryStorage) -> None:
    storage.starts.fail("no room")
    with pytest.raises(StoreUnavailableError, match="no room"):
        await service.start("b")
    assert service.batches() == []
    assert producer_tasks() == []


async def test_invalid_id_is_refused(service: BatchService) -> None:
    results = await start_all(service, INVALID_IDS)
    assert {type(result) for result in results} == {InvalidBatchIdError}
    assert service.batches() == []


async def test_valid_id_is_accepted(service: BatchService) -> None:
    for batch_id in VALID_IDS:
        await service.start(batch_id, "silent")
        await service.stop(batch_id)
    assert {batch.batch_id for batch in service.batches()} == set(VALID_IDS)


async def test_unknown_source_is_refused(service: BatchService) -> None:
    with pytest.raises(UnknownSourceError, match="Available: push, random, silent"):
        await service.start("b", "nonsense")


async def test_nothing_starts_during_shutdown(service: BatchService) -> None:
    service.end_streams()
    with pytest.raises(ServiceClosedError):
        await service.start("b")


async def test_slots_are_reused(service: BatchService) -> None:
    for batch_id in ("a", "b", "c"):
        await service.start(batch_id, "silent")
    await service.stop("a")
    await service.start("d", "silent")
    assert [(p.batch.batch_id, p.slot) for p in service.producers()] == [
        ("b", 1),
        ("c", 2),
        ("d", 0),
    ]


# -- stopping --------------------------------------------------------------------------------


async def test_stop_waits_for_the_last_commit(service: BatchService) -> None:
    await service.start("b")
    await wait_until(lambda: service.totals().row_count >= 3)
    batch = await service.stop("b")
    assert batch.status is BatchStatus.STOPPED
    assert producer_tasks() == []
    points = await service.points("b", 0, 10_000)
    assert [point.seq for point in points] == list(range(1, len(points) + 1))
    assert batch.run.last_seq == len(points) == service.row_count(batch)


async def test_second_stop_has_no_effect(service: BatchService) -> None:
    await service.start("b")
    first = await service.stop("b")
    assert await service.stop("b") == first


async def test_concurrent_stops_have_the_same_result(service: BatchService) -> None:
    await service.start("b")
    batches = await asyncio.gather(*(service.stop("b") for _ in range(20)))
    assert len({batch.run for batch in batches}) == 1
    assert len(await service.runs("b")) == 1


async def test_unknown_batch_cannot_be_stopped(service: BatchService) -> None:
    with pytest.raises(BatchNotFoundError, match='Batch "unknown" not found'):
        await service.stop("unknown")


async def test_batch_can_be_stopped_before_its_first_point(service: BatchService) -> None:
    await service.start("b", "silent")
    batch = await service.stop("b")
    assert (batch.status, batch.run.last_seq) == (BatchStatus.STOPPED, 0)


async def test_memory_of_an_ended_run_is_freed(service: BatchService) -> None:
    producer = service.producer(await service.start("b"))
    assert producer
    run, points = weakref.ref(producer), weakref.ref(producer.buffer)
    await wait_until(lambda: service.totals().row_count >= 3)
    await service.stop("b")
    del producer
    gc.collect()
    assert (run(), points()) == (None, None)


async def test_seq_continues_in_the_next_run(service: BatchService) -> None:
    await service.start("b")
    await wait_until(lambda: service.totals().row_count >= 3)
    first = (await service.stop("b")).run
    await service.start("b")
    await wait_until(lambda: service.totals().row_count >= (first.last_seq or 0) + 3)
    second = (await service.stop("b")).run
    assert second.first_seq == (first.last_seq or 0) + 1
    points = await service.points("b", 0, 10_000)
    assert [point.seq for point in points] == list(range(1, len(points) + 1))
    assert [run.number for run in await service.runs("b")] == [2, 1]


async def test_source_that_ignores_cancellation_is_abandoned(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    stubborn = StubbornSource()
    timing = Timing(cancel_timeout=0.01)
    async with open_service(storage, timing=timing, stubborn=stubborn) as service:
        batch = await service.start("b", "stubborn")
        await wait_until(lambda: service.row_count(batch) == 1)
        assert (await service.stop("b")).status is BatchStatus.STOPPED
        assert 'Source of "b" ignored cancellation' in caplog.text
        stubborn.release()
        await wait_until(lambda: not producer_tasks())
        assert service.row_count(batch) == 1


async def test_shutdown_records_the_end_of_a_source_that_ignores_cancellation(
    storage: MemoryStorage,
) -> None:
    stubborn = StubbornSource()
    timing = Timing(cancel_timeout=60, shutdown_cancel_timeout=0.01)
    async with open_service(storage, timing=timing, stubborn=stubborn) as service:
        await service.start("b", "stubborn")
        await service.end_runs()
        assert service.batch("b").status is BatchStatus.INTERRUPTED
        stubborn.release()
        await wait_until(lambda: not producer_tasks())


# -- sources that end or fail ----------------------------------------------------------------


async def test_run_of_a_source_that_ends_is_finished(storage: MemoryStorage) -> None:
    async with open_service(storage, few=counting(7)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        batch = service.batch("b")
        assert (batch.status, batch.run.last_seq) == (BatchStatus.FINISHED, 7)
        assert [point.key for point in await service.points("b", 0, 10)] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RuntimeError("no luck"), "RuntimeError: no luck"),
        (RuntimeError("x" * 1_000), "RuntimeError: " + "x" * 486),
        (RuntimeError("not UTF-8: \ud800"), "RuntimeError: not UTF-8: ?"),
        (float("nan"), "The source returned nan, which is not a finite number."),
        ("text", "The source returned 'text', which is not a finite number."),
    ],
)
async def test_failing_source_fails_its_run_and_keeps_its_points(
    storage: MemoryStorage,
    clock: FakeClock,
    script: ScriptedSource,
    caplog: pytest.LogCaptureFixture,
    failure: object,
    reason: str,
) -> None:
    # pytest-xdist cannot transfer a captured log with the surrogate.
    caplog.set_level(logging.CRITICAL, "solo_app.batches.producer")
    async with open_service(storage, clock, script=script, silent=silent) as service:
        await service.start("b", "script")
        script.emit(clock.now, 4.5)
        if isinstance(failure, Exception):
            script.fail(failure)
        else:
            script.emit(clock.now, failure)
        await wait_until(lambda: not service.running())
        run = service.batch("b").run
        assert (run.status, run.reason, run.last_seq) == (BatchStatus.FAILED, reason, 1)
        await start_all(service, [f"other{n}" for n in range(5)])
        assert len(service.running()) == 5


def raise_immediately() -> AsyncIterator[Numbers]:
    raise LookupError("nothing there")


async def cancel_itself() -> AsyncIterator[Numbers]:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.Event().wait()
    yield 1.0


async def test_source_that_is_not_iterable_fails_its_run(storage: MemoryStorage) -> None:
    async with open_service(
        storage,
        broken=raise_immediately,
        cancelled=cancel_itself,
        none=lambda: None,  # type: ignore[arg-type, return-value]
    ) as service:
        for source in ("broken", "cancelled", "none"):
            await service.start("b", source)
            await wait_until(lambda: not service.running())
            assert service.batch("b").status is BatchStatus.FAILED
            assert service.batch("b").run.reason
        assert len(await service.runs("b")) == 3


# -- log -------------------------------------------------------------------------------------


async def test_start_and_end_of_each_run_are_logged(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(
        storage, clock, script=script, few=counting(1), silent=silent
    ) as service:
        await service.start("b", "silent")
        await service.stop("b")
        for source in ("few", "script"):
            await service.start("b", source)
            script.fail(RuntimeError("two\nlines"))
            await wait_until(lambda: not service.running())
        await service.start("b", "silent")
    async with open_service(storage, clock) as service:
        assert [(line.run, line.level, line.text) for line in await service.log("b")] == [
            (1, "info", "Started with source silent."),
            (1, "info", "Stopped."),
            (2, "info", "Started with source few."),
            (2, "info", "Finished."),
            (3, "info", "Started with source script."),
            (3, "error", "RuntimeError: two lines"),
            (4, "info", "Started with source silent."),
            (4, "info", "Interrupted: the app is shutting down."),
        ]


async def test_next_start_logs_the_interruption_by_a_crash(storage: MemoryStorage) -> None:
    run = Run(1, "random", BatchStatus.RUNNING, utc_now(), first_seq=1)
    await storage.open_run("b", run)
    async with open_service(storage) as service:
        (line,) = await service.log("b")
        assert (line.run, line.text) == (1, "Interrupted: the app ended during the run.")


async def test_app_does_not_start_if_the_log_cannot_be_written(storage: MemoryStorage) -> None:
    await storage.open_run("b", Run(1, "random", BatchStatus.RUNNING, utc_now(), first_seq=1))
    storage.log_writes.fail("no room")
    with pytest.raises(StoreUnavailableError, match="no room"):
        async with asyncio.timeout(30), open_service(storage):
            pass


async def test_abandoned_source_is_logged(storage: MemoryStorage) -> None:
    stubborn = StubbornSource()
    timing = Timing(cancel_timeout=0.01)
    async with open_service(storage, timing=timing, stubborn=stubborn) as service:
        batch = await service.start("b", "stubborn", restart=RestartPolicy.ON_FAILURE)
        await wait_until(lambda: service.row_count(batch))
        await service.stop("b")
        texts = [line.text for line in await service.log("b")][1:]
        assert texts == ["The source ignored its cancellation.", "Stopped."]
        stubborn.release()
        await wait_until(lambda: not producer_tasks())


# -- restart of the app ----------------------------------------------------------------------


async def test_running_batch_is_interrupted_by_a_restart(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count >= 3)
    async with open_service(tmp_path / "solo.duckdb") as service:
        batch = service.batch("b")
        assert batch.status is BatchStatus.INTERRUPTED
        assert service.running() == []
        assert batch.run.last_seq == service.row_count(batch) >= 3
        await service.start("b")
        assert service.batch("b").run.first_seq == (batch.run.last_seq or 0) + 1


async def test_resume_restarts_only_interrupted_batches(storage: MemoryStorage) -> None:
    async with open_service(storage) as service:
        for batch_id in ("interrupted", "stopped"):
            await service.start(batch_id)
        await service.stop("stopped")
    async with open_service(storage, resume=True) as service:
        assert [batch.batch_id for batch in service.running()] == ["interrupted"]
        assert service.batch("interrupted").run.number == 2


async def test_resume_skips_batches_with_an_unknown_source(storage: MemoryStorage) -> None:
    async with open_service(storage, other=silent) as service:
        await service.start("known")
        await service.start("unknown", "other")
    async with open_service(storage, resume=True) as service:
        assert [batch.batch_id for batch in service.running()] == ["known"]
        assert service.batch("unknown").status is BatchStatus.INTERRUPTED


async def test_resume_restarts_the_five_latest_batches(storage: MemoryStorage) -> None:
    for numbers in ((0, 1), (2, 3, 4, 5, 6)):
        async with open_service(storage) as service:
            for n in numbers:
                await service.start(f"b{n}")
    async with open_service(storage, resume=True) as service:
        assert {b.batch_id for b in service.running()} == {"b2", "b3", "b4", "b5", "b6"}
