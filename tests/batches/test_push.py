"""Pushed points: atomic, exact with concurrent clients, idempotent, bounded while writes wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solo_app.batches.errors import (
    BadNumberError,
    BatchEndedError,
    BatchLimitReachedError,
    IdempotencyKeyReusedError,
    InvalidBatchIdError,
    PushInProgressError,
    ServiceClosedError,
    SourceMismatchError,
    StoreUnavailableError,
)
from solo_app.batches.ingest import BUFFER_POINTS, MAX_POINTS_PER_APPEND
from solo_app.batches.models import BatchStatus, IdempotencyKey
from solo_app.batches.push import IDLE_SECONDS, MAX_POINTS, PushResult
from solo_app.batches.service import BatchService
from solo_app.batches.timing import Timing
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, counting, open_service, stop_all, wait_until

pytestmark = pytest.mark.anyio

FAST = Timing(
    retry_interval=0.001, stop_grace_period=0.01, shutdown_timeout=0.05, close_timeout=0.05
)
KEY = IdempotencyKey("first", "hash")


@pytest.fixture
async def service(storage: MemoryStorage, clock: FakeClock) -> AsyncIterator[BatchService]:
    async with open_service(storage, clock, timing=FAST, few=counting(3)) as opened:
        yield opened
        storage.writes.open()


def numbers(count: int) -> NDArray[np.float64]:
    return np.arange(count, dtype=float)


async def keys(service: BatchService, batch_id: str) -> list[float]:
    return [point.key for point in await service.points(batch_id, 0, 1_000_000)]


# -- starting --------------------------------------------------------------------------------


async def test_first_push_starts_a_batch_that_ends_when_silent(service: BatchService) -> None:
    assert await service.push("b", numbers(2)) == PushResult(1, 2, 2)
    run = service.batch("b").run
    assert (run.source, run.parameters) == ("push", {"idle_seconds": IDLE_SECONDS})
    assert await service.push("b", numbers(1)) == PushResult(3, 3, 1)
    assert await keys(service, "b") == [0.0, 1.0, 0.0]


async def test_simultaneous_first_pushes_start_one_run(service: BatchService) -> None:
    results = await asyncio.gather(*(service.push("b", numbers(3)) for _ in range(10)))
    assert sorted(result.first_seq for result in results) == list(range(1, 31, 3))
    assert service.batch("b").run.number == 1


async def test_push_restarts_a_silent_batch_with_its_configuration(service: BatchService) -> None:
    configuration = {"idle_seconds": 0.01}
    await service.start("b", "push", configuration)
    await service.push("b", numbers(1))
    await wait_until(lambda: service.batch("b").status is BatchStatus.FINISHED)
    assert await service.push("b", numbers(1)) == PushResult(2, 2, 1)
    run = service.batch("b").run
    assert (run.number, run.parameters) == (2, configuration)


async def test_push_keeps_a_batch_from_ending(service: BatchService) -> None:
    await service.start("b", "push", {"idle_seconds": 0.3})
    end = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < end:
        await service.push("b", numbers(1))
        await asyncio.sleep(0.001)
    assert service.batch("b").run.number == 1
    assert service.batch("b").is_running


async def test_push_restarts_an_interrupted_batch(storage: MemoryStorage) -> None:
    async with open_service(storage) as service:
        await service.push("b", numbers(1))
    async with open_service(storage) as service:
        assert service.batch("b").status is BatchStatus.INTERRUPTED
        assert await service.push("b", numbers(1)) == PushResult(2, 2, 1)


async def test_stopped_batch_accepts_points_after_it_is_started(service: BatchService) -> None:
    await service.push("b", numbers(1))
    await service.stop("b")
    with pytest.raises(BatchEndedError, match=r"b has ended \(stopped\)"):
        await service.push("b", numbers(1))
    await service.start("b")
    assert await service.push("b", numbers(1)) == PushResult(2, 2, 1)


async def test_batch_with_another_source_refuses_points(service: BatchService) -> None:
    await service.start("running", "random")
    await service.start("ended", "few")
    await wait_until(lambda: not service.batch("ended").is_running)
    for batch_id in ("running", "ended"):
        with pytest.raises(SourceMismatchError):
            await service.push(batch_id, numbers(1))


async def test_push_cannot_start_a_sixth_batch(service: BatchService) -> None:
    for number in range(5):
        await service.push(f"b{number}", numbers(1))
    with pytest.raises(BatchLimitReachedError):
        await service.push("sixth", numbers(1))
    await service.push("b0", numbers(1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
async def test_bad_number_starts_nothing(service: BatchService, value: float) -> None:
    with pytest.raises(BadNumberError):
        await service.push("b", np.array([1.0, value]))
    assert service.batches() == []


async def test_invalid_id_is_refused(service: BatchService) -> None:
    with pytest.raises(InvalidBatchIdError):
        await service.push("-", numbers(1))


# -- commits ---------------------------------------------------------------------------------


async def test_push_is_one_commit_although_it_exceeds_the_buffer(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.start("b", "push")
    first, second = await asyncio.gather(
        service.push("b", numbers(MAX_POINTS)), service.push("b", numbers(MAX_POINTS))
    )
    assert (first.last_seq, second.last_seq) == (MAX_POINTS, 2 * MAX_POINTS)
    assert [len(block.ts) for block in storage.written] == [MAX_POINTS, MAX_POINTS]


async def test_concurrent_clients_lose_no_points(tmp_path: Path) -> None:
    async def client(service: BatchService, number: int) -> list[PushResult]:
        return [await service.push("b", np.full(100, float(number))) for _ in range(20)]

    async with open_service(tmp_path / "solo.duckdb") as service:
        results = await asyncio.gather(*(client(service, number) for number in range(10)))
        stored = await service.points("b", 0, 100_000)
    assert [point.seq for point in stored] == list(range(1, 20_001))
    for number, of_client in enumerate(results):
        for result in of_client:
            own = stored[result.first_seq - 1 : result.last_seq]
            assert [point.key for point in own] == [float(number)] * 100


async def test_waiting_pushes_do_not_grow_the_buffer(
    service: BatchService, storage: MemoryStorage
) -> None:
    producer = service.producer(await service.start("b", "push"))
    assert producer
    await service.push("b", numbers(1))
    storage.writes.hold()
    clients = [
        asyncio.create_task(service.push("b", numbers(MAX_POINTS_PER_APPEND))) for _ in range(6)
    ]
    await wait_until(lambda: storage.writes.waiting and not producer.buffer.has_capacity)
    await asyncio.sleep(0.01)
    # One block in flight, and one full buffer.
    assert producer.buffer.uncommitted <= 2 * BUFFER_POINTS
    storage.writes.open()
    results = await asyncio.gather(*clients)
    assert max(result.last_seq for result in results) == 1 + 6 * MAX_POINTS_PER_APPEND


async def test_points_are_refused_while_writes_fail(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.push("b", numbers(1))
    storage.writes.fail("No room.")
    with pytest.raises(StoreUnavailableError, match="The points are stored if"):
        await service.push("b", numbers(1))
    for batch_id in ("b", "new"):
        with pytest.raises(StoreUnavailableError, match="Writes are failing: No room"):
            await service.push(batch_id, numbers(1))
    storage.writes.open()
    await wait_until(lambda: service.totals().write_error is None)
    assert await service.push("b", numbers(1)) == PushResult(3, 3, 1)
    assert [batch.batch_id for batch in service.batches()] == ["b"]


async def test_push_during_a_stop_waits_for_its_outcome(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.push("b", numbers(1))
    storage.ends.hold()
    stopping = asyncio.create_task(service.stop("b"))
    await wait_until(lambda: storage.ends.waiting)
    push = asyncio.create_task(service.push("b", numbers(1)))
    storage.ends.open()
    with pytest.raises(BatchEndedError):
        await push
    await stopping
    assert service.row_count(service.batch("b")) == 1


async def test_waiting_push_ends_with_its_batch(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.start("b", "push")
    storage.writes.hold()
    pushes = [asyncio.create_task(service.push("b", numbers(BUFFER_POINTS))) for _ in range(3)]
    await wait_until(lambda: storage.writes.waiting)
    stopping = asyncio.create_task(service.stop("b"))
    await asyncio.sleep(0.01)
    storage.writes.open()
    outcomes = await asyncio.gather(*pushes, return_exceptions=True)
    await stopping
    stored = [outcome for outcome in outcomes if isinstance(outcome, PushResult)]
    assert {type(outcome) for outcome in outcomes} == {PushResult, BatchEndedError}
    assert service.row_count(service.batch("b")) == len(stored) * BUFFER_POINTS


async def test_push_is_refused_during_shutdown(service: BatchService) -> None:
    await service.push("b", numbers(1))
    service.end_streams()
    with pytest.raises(ServiceClosedError):
        await service.push("b", numbers(1))


async def test_push_without_a_commit_before_the_exit_fails(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.push("b", numbers(1))
    storage.writes.hold()
    push = asyncio.create_task(service.push("b", numbers(1)))
    await wait_until(lambda: storage.writes.waiting)
    await service.close()
    with pytest.raises(
        StoreUnavailableError, match=r"may be stored\. A retry can store them twice"
    ):
        await push


# -- several parts ---------------------------------------------------------------------------


async def test_parts_are_committed_together(service: BatchService) -> None:
    push = service.open_push("b")
    assert await push.commit() is None
    for count in (2, 3):
        await push.append(numbers(count))
    assert await push.commit() == PushResult(1, 5, 5)
    assert service.row_count(service.batch("b")) == 5


@pytest.mark.parametrize("is_closing", [False, True])
async def test_open_push_notices_the_end_of_its_run(
    service: BatchService, is_closing: bool
) -> None:
    push = service.open_push("b")
    await push.append(numbers(1))
    waiting = asyncio.create_task(push.wait_for_end())
    await (service.end_runs() if is_closing else service.stop("b"))
    with pytest.raises(ServiceClosedError if is_closing else BatchEndedError):
        await waiting
    assert await push.commit() == PushResult(1, 1, 1)


# -- idempotency -----------------------------------------------------------------------------


async def push_key(service: BatchService, **changes: Any) -> PushResult:
    key = IdempotencyKey(changes.get("key", KEY.key), changes.get("body_hash", KEY.body_hash))
    return await service.push(changes.get("batch_id", "b"), numbers(2), key)


async def test_repeated_key_returns_the_first_result(tmp_path: Path, clock: FakeClock) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database, clock) as service:
        assert await push_key(service) == PushResult(1, 2, 2)
        assert await push_key(service, key="other") == PushResult(3, 4, 2)
        assert await push_key(service, batch_id="c") == PushResult(1, 2, 2)
        await stop_all(service)
    clock.advance(hours=23)
    async with open_service(database, clock) as service:
        assert await push_key(service) == PushResult(1, 2, 2)
        assert service.row_count(service.batch("b")) == 4


async def test_expired_key_is_unused(tmp_path: Path, clock: FakeClock) -> None:
    async with open_service(tmp_path / "solo.duckdb", clock) as service:
        await push_key(service)
        clock.advance(hours=24)
        assert await push_key(service, body_hash="other") == PushResult(3, 4, 2)
        assert await push_key(service, body_hash="other") == PushResult(3, 4, 2)


async def test_key_with_another_body_is_refused(service: BatchService) -> None:
    await push_key(service)
    with pytest.raises(IdempotencyKeyReusedError):
        await push_key(service, body_hash="other")
    assert service.row_count(service.batch("b")) == 2


async def test_key_is_refused_while_its_first_request_is_in_progress(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.push("b", numbers(1))
    storage.writes.hold()
    first = asyncio.create_task(push_key(service))
    await wait_until(lambda: storage.writes.waiting)
    with pytest.raises(PushInProgressError):
        await push_key(service)
    with pytest.raises(IdempotencyKeyReusedError):
        await push_key(service, body_hash="other")
    storage.writes.open()
    assert await first == await push_key(service) == PushResult(2, 3, 2)


async def test_key_of_an_uncommitted_push_stays_in_progress(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.push("b", numbers(1))
    storage.writes.fail()
    with pytest.raises(StoreUnavailableError):
        await push_key(service)
    with pytest.raises(PushInProgressError):
        await push_key(service)
    storage.writes.open()
    await wait_until(lambda: service.totals().write_error is None)
    assert await push_key(service) == PushResult(2, 3, 2)


async def test_key_of_a_refused_push_is_unused(service: BatchService) -> None:
    await service.push("b", numbers(1))
    await service.stop("b")
    for body_hash in ("hash", "other"):
        with pytest.raises(BatchEndedError):
            await push_key(service, body_hash=body_hash)
    await service.start("b")
    assert await push_key(service) == PushResult(2, 3, 2)


async def test_repeated_key_is_answered_after_the_batch_has_ended(
    service: BatchService, clock: FakeClock
) -> None:
    result = await push_key(service)
    await service.stop("b")
    clock.advance(seconds=timedelta(hours=1).total_seconds())
    assert await push_key(service) == result
    assert not service.batch("b").is_running
