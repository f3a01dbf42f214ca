"""The behaviour that the service expects from a store, tested for each implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches.models import (
    BUCKET_US,
    MINUTE,
    NO_LABELS,
    Batch,
    BatchCounter,
    BatchStatus,
    Block,
    Bucket,
    Extreme,
    IdempotencyKey,
    Labels,
    LogLevel,
    LogLine,
    MinuteAggregate,
    Receipt,
    Run,
    Window,
    to_microseconds,
)
from solo_app.batches.storage import Storage
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.memory_storage import MemoryStorage

pytestmark = pytest.mark.anyio

NOW = datetime(2012, 11, 11, 10, 10)
NOW_US = to_microseconds(NOW)
ALWAYS = Window(datetime(2000, 1, 1), datetime(2100, 1, 1))
FIRST_RUN = Run(1, "random", BatchStatus.RUNNING, NOW, first_seq=1)


def store_factory(kind: str, folder: Path) -> Callable[[], Storage]:
    """Return a function that creates the store as another process would."""
    # mypy checks here that both satisfy the protocol.
    memory: Storage = MemoryStorage()
    stores: dict[str, Callable[[], Storage]] = {
        "duckdb": lambda: DuckDBStore(folder / "solo.duckdb"),
        "memory": lambda: memory,
    }
    return stores[kind]


@pytest.fixture(params=["duckdb", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage]:
    return store_factory(request.param, tmp_path)


@pytest.fixture(scope="module", params=["duckdb", "memory"])
async def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Storage]:
    """A store with batches of other tests."""
    opened = store_factory(request.param, tmp_path_factory.mktemp("shared"))()
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def batch(store: Storage, batch_id: str) -> Batch:
    return await store.open_run(batch_id, FIRST_RUN)


def block(batch: Batch, first_seq: int, *points: tuple[int, float]) -> Block:
    """Points as pairs of microseconds after ``NOW`` and key."""
    ts = np.array([NOW_US + after for after, _ in points])
    return Block(batch.no, first_seq, ts, np.array([key for _, key in points]))


def minute(count: int, total: float, low: float, high: float) -> MinuteAggregate:
    return MinuteAggregate(NOW, count, total, low, high)


async def test_new_store_is_empty(make: Callable[[], Storage]) -> None:
    store = make()
    await store.open()
    assert await store.batches() == []
    assert await store.points(1, 0, 10) == []
    assert await store.minutes(1, ALWAYS) == []
    await store.close()


async def test_batch_has_its_latest_run_and_all_runs(store: Storage, batch: Batch) -> None:
    assert batch in await store.batches()
    ended = replace(
        FIRST_RUN, status=BatchStatus.FAILED, ended_at=NOW + MINUTE, last_seq=0, reason="no luck"
    )
    await store.end_run(replace(batch, run=ended))
    second = Run(2, "other", BatchStatus.RUNNING, NOW + 2 * MINUTE, first_seq=1)
    assert await store.open_run(batch.batch_id, second) == replace(batch, run=second)
    other = await store.open_run(f"{batch.batch_id}-other", FIRST_RUN)
    assert other.no != batch.no
    runs = {b.no: b.run for b in await store.batches()}
    assert (runs[batch.no], runs[other.no]) == (second, FIRST_RUN)
    assert await store.runs(batch.no, 0, 100) == [second, ended]
    assert await store.runs(batch.no, 1, 1) == [ended]


async def test_labels_are_stored(make: Callable[[], Storage]) -> None:
    store = make()
    await store.open()
    batch = await store.open_run("b", FIRST_RUN, Labels("°C", "Kiln"))
    other = await store.open_run("c", FIRST_RUN)
    assert {b.batch_id: b.labels for b in await store.batches()} == {
        "b": Labels("°C", "Kiln"),
        "c": NO_LABELS,
    }
    await store.set_labels(other.no, Labels("", "Dryer"))
    await store.close()
    again = make()
    await again.open()
    assert await again.batches() == [batch, replace(other, labels=Labels("", "Dryer"))]
    await again.close()


async def test_deleted_batch_has_no_data(make: Callable[[], Storage]) -> None:
    store = make()
    await store.open()
    deleted, kept = [await store.open_run(batch_id, FIRST_RUN) for batch_id in ("b", "c")]
    for batch in (deleted, kept):
        minutes = {batch.no: [minute(1, 1.0, 1.0, 1.0)]}
        await store.write([block(batch, 1, (0, 1.0))], minutes)
        await store.append_log({batch.no: [LogLine(1, NOW, 1, LogLevel.INFO, "Started.")]})
        await store.end_run(replace(batch, run=ended(FIRST_RUN, last_seq=1)))
    await store.delete(deleted.no)
    for _ in range(2):
        assert [batch.batch_id for batch in await store.batches()] == ["c"]
        assert set((await store.stored_minutes(NOW)).counters) == {kept.no}
        assert await store.runs(deleted.no, 0, 10) == []
        assert await store.log(deleted.no) == []
        assert len(await store.runs(kept.no, 0, 10)) == len(await store.log(kept.no)) == 1
        await store.remove_deleted_points()
        assert await store.points(deleted.no, 0, 10) == []
        assert await store.minutes(deleted.no, ALWAYS) == []
        assert len(await store.points(kept.no, 0, 10)) == 1
        assert await store.minutes(kept.no, ALWAYS) == [minute(1, 1.0, 1.0, 1.0)]
        await store.close()
        store = make()
        await store.open()
    again = await store.open_run("b", FIRST_RUN)
    assert again.no not in (deleted.no, kept.no)
    await store.close()


async def test_points_are_read_in_order_after_a_seq(store: Storage, batch: Batch) -> None:
    await store.write([block(batch, 1, (0, 1.0), (5, 2.5))], {})
    await store.write([block(batch, 3, (2, -3.0))], {})
    points = await store.points(batch.no, 0, 10)
    assert [(p.seq, p.ts, p.key) for p in points] == [
        (1, NOW, 1.0),
        (2, NOW + timedelta(microseconds=5), 2.5),
        (3, NOW + timedelta(microseconds=2), -3.0),
    ]
    assert await store.points(batch.no, 1, 1) == points[1:2]
    assert await store.points(batch.no, 3, 10) == []
    assert await store.points(batch.no + 1, 0, 10) == []


async def test_minutes_of_several_writes_are_merged(store: Storage, batch: Batch) -> None:
    await store.write([block(batch, 1, (0, 1.0))], {batch.no: [minute(1, 1.0, 1.0, 1.0)]})
    await store.write([block(batch, 2, (1, 5.0))], {batch.no: [minute(1, 5.0, 5.0, 5.0)]})
    assert await store.minutes(batch.no, ALWAYS) == [minute(2, 6.0, 1.0, 5.0)]
    assert await store.minutes(batch.no, Window(NOW, NOW + MINUTE)) != []
    assert await store.minutes(batch.no, Window(NOW - MINUTE, NOW)) == []
    assert await store.minutes(batch.no, Window(NOW + MINUTE, NOW + 2 * MINUTE)) == []


async def test_stored_minutes_include_counters_of_their_points(
    store: Storage, batch: Batch
) -> None:
    await store.write([block(batch, 1, (0, 1.0))], {batch.no: [minute(1, 1.0, 1.0, 1.0)]})
    await store.write([block(batch, 2, (1, 5.0))], {})
    stored = await store.stored_minutes(NOW)
    assert stored.counters[batch.no] == BatchCounter(1, 1)
    assert stored.minutes[batch.no] == [minute(1, 1.0, 1.0, 1.0)]
    assert not (await store.stored_minutes(NOW + MINUTE)).minutes.get(batch.no)


async def test_buckets_keep_lowest_and_highest_points(store: Storage, batch: Batch) -> None:
    points = [(0, 2.0), (1, 9.0), (2, -1.0), (BUCKET_US, 4.0), (BUCKET_US + 1, 4.0)]
    await store.write([block(batch, 1, *points)], {})
    first, second = await store.buckets(batch.no, NOW, 6)
    low, high = Extreme(-1.0, 3, NOW_US + 2), Extreme(9.0, 2, NOW_US + 1)
    assert first == Bucket(NOW_US // BUCKET_US, 1, 3, low, high)
    assert [point.seq for point in second.points] == [4, 5]
    (cut,) = await store.buckets(batch.no, NOW + timedelta(microseconds=1), 3)
    assert (cut.count, cut.min, cut.max) == (1, high, high)


async def test_points_of_two_runs_are_never_in_one_bucket(store: Storage, batch: Batch) -> None:
    await store.write([block(batch, 1, (0, 1.0), (1, 3.0))], {})
    await store.end_run(replace(batch, run=ended(FIRST_RUN, last_seq=2)))
    without_points = replace(FIRST_RUN, number=2, first_seq=3)
    second = await store.open_run(batch.batch_id, without_points)
    await store.end_run(replace(second, run=ended(without_points, last_seq=2)))
    await store.open_run(batch.batch_id, replace(FIRST_RUN, number=3, first_seq=3))
    await store.write([block(batch, 3, (2, 9.0), (3, 5.0), (4, 7.0))], {})
    assert [
        (b.number, b.run_number, b.count, b.min.key, b.max.key)
        for b in await store.buckets(batch.no, NOW, 6)
    ] == [(NOW_US // BUCKET_US, 1, 2, 1.0, 3.0), (NOW_US // BUCKET_US, 3, 3, 5.0, 9.0)]


async def test_runs_that_ended_before_the_buckets_are_not_included(
    store: Storage, batch: Batch
) -> None:
    await store.write([block(batch, 1, (0, 1.0))], {})
    await store.end_run(replace(batch, run=ended(FIRST_RUN, last_seq=1)))
    await store.write([block(batch, 1, (BUCKET_US, 2.0))], {})  # Later than the end of its run.
    assert len(await store.buckets(batch.no, NOW, 9)) == 2
    assert await store.buckets(batch.no, NOW + timedelta(microseconds=1), 9) == []


def ended(run: Run, last_seq: int) -> Run:
    return replace(run, status=BatchStatus.STOPPED, ended_at=NOW, last_seq=last_seq)


async def test_next_open_adds_remaining_points_to_the_minutes(make: Callable[[], Storage]) -> None:
    store = make()
    await store.open()
    batch = await store.open_run("b", FIRST_RUN)
    await store.write([block(batch, 1, (0, 1.0))], {batch.no: [minute(1, 1.0, 1.0, 1.0)]})
    await store.write([block(batch, 2, (1, 5.0), (2, 3.0))], {})
    await store.close()
    again = make()
    await again.open()
    assert await again.minutes(batch.no, ALWAYS) == [minute(3, 9.0, 1.0, 5.0)]
    assert await again.batches() == [batch]
    await again.close()


def log_line(number: int, text: str = "text", run: int = 1) -> LogLine:
    return LogLine(number, NOW + timedelta(seconds=number), run, LogLevel.OUTPUT, text)


async def test_log_lines_are_read_in_order(make: Callable[[], Storage]) -> None:
    store = make()
    await store.open()
    first, second = await store.open_run("b", FIRST_RUN), await store.open_run("c", FIRST_RUN)
    assert await store.log(first.no) == []
    lines = [log_line(1, 'ü "quoted" °C'), log_line(2, ""), log_line(3, "x" * 1_000, run=2)]
    await store.append_log({first.no: lines[:2], second.no: [log_line(7)]})
    await store.append_log({first.no: lines[2:]})
    await store.close()
    again = make()
    await again.open()
    assert await again.log(first.no) == lines
    assert await again.log(second.no) == [log_line(7)]
    await again.close()


async def test_log_keeps_the_latest_lines_of_each_batch(store: Storage, batch: Batch) -> None:
    other = await store.open_run(f"{batch.batch_id}-other", FIRST_RUN)
    await store.append_log({other.no: [log_line(1)]})
    for first in range(1, 2_000, 100):
        await store.append_log({batch.no: [log_line(n) for n in range(first, first + 100)]})
    assert [line.number for line in await store.log(batch.no)] == [*range(1_501, 2_001)]
    assert await store.log(other.no) == [log_line(1)]


async def test_repeated_log_write_adds_no_lines(store: Storage, batch: Batch) -> None:
    # A commit can become durable although it raised an error.
    await store.append_log({batch.no: [log_line(1), log_line(2)]})
    await store.append_log({batch.no: [log_line(2), log_line(3)]})
    assert [line.number for line in await store.log(batch.no)] == [1, 2, 3]


def receipt(key: str, created_at: datetime = NOW, body_hash: str = "hash") -> Receipt:
    return Receipt(IdempotencyKey(key, body_hash), created_at, 1, 2)


async def test_receipts_are_stored_with_points(store: Storage, batch: Batch) -> None:
    receipts = receipt("first"), receipt("second")
    written = replace(block(batch, 1, (0, 1.0), (1, 2.0)), receipts=receipts)
    await store.write([written], {})
    before = NOW - MINUTE
    assert [await store.receipt(batch.no, r.key.key, before) for r in receipts] == [*receipts]
    assert await store.receipt(batch.no, "third", before) is None
    assert await store.receipt(batch.no + 1, "first", before) is None
    assert await store.receipt(batch.no, "first", NOW) is None
