"""Start and stop: one task per batch, never more than five, no slot that nobody holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solo_app.batches.catalog import Catalog
from solo_app.batches.errors import (
    BatchLimitReachedError,
    BatchNotFoundError,
    BatchRunningError,
    InvalidBatchIdError,
    ServiceClosedError,
    SoloError,
    UnknownSourceError,
)
from solo_app.batches.models import Batch, BatchStatus, Run
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    counting,
    open_service,
    producer_tasks,
    silent,
    wait_until,
)

pytestmark = pytest.mark.anyio

BAD_IDS = [
    "",
    ".",
    "..",
    "-a",
    "_a",
    "a b",
    " a",
    "a/b",
    "a\\b",
    "a\nb",
    "a\x00",
    "a'b",
    'a"b',
    "<b>",
    "a;DROP TABLE points",
    "ä",
    "١",
    "a" * 65,
    "a\n",
]
GOOD_IDS = ["a", "A", "0", "a.b", "v1.2.js", "a-_.", "a" * 64]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[BatchService]:
    async with open_service(tmp_path / "solo.duckdb", silent=silent) as opened:
        yield opened


async def outcomes(service: BatchService, ids: list[str]) -> list[object]:
    return await asyncio.gather(*(service.start(i) for i in ids), return_exceptions=True)


async def test_fifty_starts_of_fifty_batches_start_exactly_five(service: BatchService) -> None:
    results = await outcomes(service, [f"b{n}" for n in range(50)])
    assert sum(not isinstance(r, Exception) for r in results) == BATCH_LIMIT == 5
    assert sum(isinstance(r, BatchLimitReachedError) for r in results) == 45
    assert len(producer_tasks()) == len(service.running()) == 5
    assert len(service.batches()) == 5


async def test_fifty_starts_of_one_batch_start_exactly_one_task(service: BatchService) -> None:
    results = await outcomes(service, ["b"] * 50)
    assert sum(not isinstance(r, Exception) for r in results) == 1
    assert sum(isinstance(r, BatchRunningError) for r in results) == 49
    assert producer_tasks() == ["producer:b"]


async def test_a_sixth_batch_is_refused_and_told_which_run(service: BatchService) -> None:
    for n in range(5):
        await service.start(f"b{n}")
    with pytest.raises(BatchLimitReachedError, match="Stop one") as refused:
        await service.start("sixth")
    assert refused.value.running == ["b0", "b1", "b2", "b3", "b4"]
    with pytest.raises(BatchNotFoundError):
        service.batch("sixth")


async def test_a_caller_who_goes_away_leaves_no_run_that_nobody_carries_out(
    service: BatchService,
) -> None:
    start = asyncio.create_task(service.start("b"))
    await asyncio.sleep(0)
    start.cancel()
    await wait_until(lambda: service.running())
    assert producer_tasks() == ["producer:b"]


async def test_a_bad_id_is_refused_and_changes_nothing(service: BatchService) -> None:
    results = await outcomes(service, BAD_IDS)
    assert [type(result) for result in results] == [InvalidBatchIdError] * len(BAD_IDS)
    assert all("1 to 64" in str(result) for result in results)
    assert service.batches() == []


async def test_every_allowed_form_of_id_is_taken(service: BatchService) -> None:
    for batch_id in GOOD_IDS:
        await service.start(batch_id, "silent")
        await service.stop(batch_id)
    assert {b.batch_id for b in service.batches()} == set(GOOD_IDS)


async def test_an_unknown_source_is_refused(service: BatchService) -> None:
    with pytest.raises(UnknownSourceError, match="Available: random, silent"):
        await service.start("b", "nonsense")


async def test_stop_answers_after_the_last_point_and_none_comes_later(
    service: BatchService,
) -> None:
    await service.start("b")
    await wait_until(lambda: service.totals().row_count >= 3)
    batch = await service.stop("b")
    stored = await service.points("b", 0, 10_000)
    assert [p.seq for p in stored] == list(range(1, len(stored) + 1))
    assert batch.run.last_seq == len(stored) == service.row_count(batch)
    assert batch.status is BatchStatus.STOPPED
    assert producer_tasks() == []
    await asyncio.sleep(0.05)  # Five times the pace of the source: the claim is that nothing comes.
    assert await service.points("b", 0, 10_000) == stored


async def test_a_second_stop_changes_nothing_and_is_no_error(service: BatchService) -> None:
    await service.start("b")
    first = await service.stop("b")
    assert await service.stop("b") == first


async def test_stops_at_once_all_see_the_same_end(service: BatchService) -> None:
    await service.start("b")
    ends = await asyncio.gather(*(service.stop("b") for _ in range(20)))
    assert len({(e.run.ended_at, e.status) for e in ends}) == 1
    assert len(await service.runs("b")) == 1


async def test_stop_of_what_never_was_is_an_error(service: BatchService) -> None:
    with pytest.raises(BatchNotFoundError, match='Batch "nobody" not found'):
        await service.stop("nobody")


async def test_a_batch_stopped_before_its_first_step_is_stopped(service: BatchService) -> None:
    await service.start("b", "silent")
    batch = await service.stop("b")
    assert (batch.status, batch.run.last_seq) == (BatchStatus.STOPPED, 0)


async def test_another_run_goes_on_counting(service: BatchService) -> None:
    await service.start("b")
    await wait_until(lambda: service.totals().row_count >= 3)
    first = (await service.stop("b")).run
    await service.start("b")
    await wait_until(lambda: service.totals().row_count >= (first.last_seq or 0) + 3)
    second = (await service.stop("b")).run
    assert (first.number, second.number) == (1, 2)
    assert second.first_seq == (first.last_seq or 0) + 1
    stored = await service.points("b", 0, 10_000)
    assert [p.seq for p in stored] == list(range(1, len(stored) + 1))
    assert [run.number for run in await service.runs("b")] == [2, 1]


async def test_a_source_that_has_no_more_finishes_its_run(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", few=counting(7)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        batch = service.batch("b")
        assert (batch.status, batch.run.last_seq) == (BatchStatus.FINISHED, 7)
        assert [p.key for p in await service.points("b", 0, 10)] == [1, 2, 3, 4, 5, 6, 7]


FAILURES = [
    (RuntimeError("no luck"), "RuntimeError: no luck"),
    (float("nan"), "nan"),
    (float("inf"), "inf"),
    (None, "None"),
    ("text", "'text'"),
    (True, "True"),
    (10**400, "not a finite number"),
    (np.array([[1.0]]), "not a finite number"),
    (np.array([1.0, np.nan]), "nan"),
    (np.ma.masked_invalid([1.0, np.nan]), "not a finite number"),
]


async def test_a_source_that_goes_wrong_fails_its_run_with_a_reason_and_frees_its_slot(
    tmp_path: Path,
) -> None:
    clock = FakeClock("2026-01-01 00:00:30")
    script = ScriptedSource(clock)
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        for number, (given, reason) in enumerate(FAILURES, 1):
            await service.start("b", "script")
            script.emit(clock.now, 4.5)
            if isinstance(given, Exception):
                script.fail(given)
            else:
                script.emit(clock.now, given)
            await wait_until(lambda: not service.running())
            run = (await service.runs("b"))[0]
            assert run.status is BatchStatus.FAILED
            assert reason in (run.reason or "")
            assert run.last_seq == number  # What came before is kept.
        await outcomes(service, [f"other{n}" for n in range(5)])
        assert len(service.running()) == 5


def broken_at_once() -> AsyncIterator[Numbers]:
    raise LookupError("nothing there")


async def cancels_itself() -> AsyncIterator[Numbers]:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(10)
    yield 1.0


async def test_no_way_to_fail_leaves_a_slot_taken(tmp_path: Path) -> None:
    async with open_service(
        tmp_path / "solo.duckdb",
        broken=broken_at_once,
        cancelled=cancels_itself,
        no_source=lambda: None,  # type: ignore[arg-type, return-value]
    ) as service:
        for source in ("broken", "cancelled", "no_source"):
            await service.start("b", source)
            await wait_until(lambda: not service.running())
            assert service.batch("b").status is BatchStatus.FAILED
            assert service.batch("b").run.reason
        assert len(await service.runs("b")) == 3


async def test_a_source_that_never_waits_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def greedy() -> AsyncIterator[Numbers]:
        while True:
            yield 1.0

    async with open_service(tmp_path / "solo.duckdb", greedy=greedy) as service:
        await service.start("greedy", "greedy")
        await service.start("calm")
        await wait_until(lambda: service.row_count(service.batch("calm")) >= 5)
        await service.stop("greedy")
        assert service.row_count(service.batch("greedy")) > 0


async def test_nothing_starts_once_the_app_shuts_down(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        service.end_streams()
        with pytest.raises(ServiceClosedError):
            await service.start("b")


async def test_closing_continues_after_a_cancelled_call(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        closing = asyncio.create_task(service.close())
        await wait_until(lambda: not service.running())
        closing.cancel()
        assert await service.close()
        assert await service.close()


async def test_an_end_leaves_running_batches_interrupted_and_one_start_goes_on(
    tmp_path: Path,
) -> None:
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


async def test_resume_starts_interrupted_batches_and_no_others(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        for batch_id in ("cut", "stopped"):
            await service.start(batch_id)
        await service.stop("stopped")
    async with open_service(tmp_path / "solo.duckdb", resume=True) as service:
        assert [b.batch_id for b in service.running()] == ["cut"]
        assert service.batch("cut").run.number == 2


async def test_resume_leaves_out_batches_whose_source_is_gone(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", other=silent) as service:
        await service.start("kept")
        await service.start("gone", "other")
    async with open_service(tmp_path / "solo.duckdb", resume=True) as service:
        assert [b.batch_id for b in service.running()] == ["kept"]
        assert service.batch("gone").status is BatchStatus.INTERRUPTED


async def test_resume_starts_five_at_the_most(tmp_path: Path) -> None:
    for numbers in ((0, 1), (2, 3, 4, 5, 6)):
        async with open_service(tmp_path / "solo.duckdb") as service:
            for n in numbers:
                await service.start(f"b{n}", "random")
    async with open_service(tmp_path / "solo.duckdb", resume=True) as service:
        assert {b.batch_id for b in service.running()} == {"b2", "b3", "b4", "b5", "b6"}


async def test_batches_are_listed_newest_first_and_can_be_searched(service: BatchService) -> None:
    for batch_id in ("alpha", "beta", "Alphabet"):
        await service.start(batch_id)
    await service.stop("alpha")
    await service.start("alpha")
    await service.stop("beta")
    assert [b.batch_id for b in service.batches()] == ["alpha", "Alphabet", "beta"]
    assert [b.batch_id for b in service.batches(search="ALPHA")] == ["alpha", "Alphabet"]
    assert [b.batch_id for b in service.batches(BatchStatus.STOPPED)] == ["beta"]


async def test_the_suggested_name_is_the_first_free_one() -> None:
    async with open_service(MemoryStorage(), silent=silent) as service:
        assert service.suggest_name() == "batch-1"
        for batch_id in ("batch-2", "batch-1", "batch-4"):
            await service.start(batch_id, "silent")
        assert service.suggest_name() == "batch-3"
        await service.stop("batch-1")
        await service.start("batch-3", "silent")
        assert service.suggest_name() == "batch-5"


def test_a_suggested_name_searches_no_name_twice() -> None:
    class Counting(dict[str, Batch]):
        lookups = 0

        def __contains__(self, name: object) -> bool:
            self.lookups += 1
            return super().__contains__(name)

        def get(self, name: str, default: Any = None) -> Any:
            self.lookups += 1
            return super().get(name, default)

    catalog, batches = Catalog(), Counting()
    catalog._batches = batches
    run = Run(1, "random", BatchStatus.STOPPED, datetime(2026, 1, 1), first_seq=1)
    for number in range(1, 1_001):
        assert catalog.suggest_name() == f"batch-{number}"
        catalog.upsert(Batch(number, f"batch-{number}", run))
    assert batches.lookups < 3_000


def test_every_error_words_itself() -> None:
    for error in (BatchNotFoundError("b"), BatchRunningError("b"), ServiceClosedError()):
        assert isinstance(error, SoloError)
        assert str(error).endswith(".")
