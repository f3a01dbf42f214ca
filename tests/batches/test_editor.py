"""Changes of labels and deletions are made in the store and in memory, at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from solo_app.batches.errors import (
    BatchNotEndedError,
    BatchNotFoundError,
    InvalidConfigurationError,
    ServiceClosedError,
    StoreUnavailableError,
)
from solo_app.batches.models import NO_LABELS, Batch, BatchStatus, Labels
from solo_app.batches.service import BatchService
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import counting, open_service, silent, wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(storage: MemoryStorage) -> AsyncIterator[BatchService]:
    async with open_service(storage, silent=silent, few=counting(3)) as opened:
        yield opened
        storage.changes.open()


async def run_few(service: BatchService, *batch_ids: str) -> None:
    """Start batches, each with three points, and wait until they have ended."""
    for batch_id in batch_ids:
        await service.start(batch_id, "few")
    await wait_until(lambda: not service.running())


async def stored_labels(storage: MemoryStorage, batch_id: str) -> Labels:
    (batch,) = [batch for batch in await storage.batches() if batch.batch_id == batch_id]
    return batch.labels


def visible_labels(service: BatchService, batch_id: str) -> set[Labels]:
    """Return the labels of a batch in all lists of the service."""
    listed: list[Batch] = [*service.batches(), *service.running()]
    labels = {batch.labels for batch in listed if batch.batch_id == batch_id}
    return labels | {service.batch(batch_id).labels}


# -- labels ----------------------------------------------------------------------------------


async def test_labels_of_running_and_ended_batches_change(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.start("b", "silent")
    await service.change_labels("b", unit="°C")
    assert visible_labels(service, "b") == {Labels("°C")}
    await service.stop("b")
    assert service.batch("b").status is BatchStatus.STOPPED
    assert visible_labels(service, "b") == {Labels("°C")}
    batch = await service.change_labels("b", description="Kiln, top")
    assert batch == service.batch("b")
    assert batch.labels == await stored_labels(storage, "b") == Labels("°C", "Kiln, top")


async def test_empty_text_removes_a_label(service: BatchService, storage: MemoryStorage) -> None:
    await service.start("b", "silent", unit="°C", description="Kiln")
    await service.change_labels("b", unit="")
    assert visible_labels(service, "b") == {Labels("", "Kiln")}
    assert await stored_labels(storage, "b") == Labels("", "Kiln")


async def test_new_run_keeps_the_labels(service: BatchService) -> None:
    await service.start("b", "silent")
    await service.change_labels("b", "°C", "Kiln")
    await service.stop("b")
    await service.start("b")
    assert visible_labels(service, "b") == {Labels("°C", "Kiln")}


@pytest.mark.parametrize("gate", ["ends", "log_writes"])
async def test_labels_changed_while_the_end_is_recorded_are_kept(
    service: BatchService, storage: MemoryStorage, gate: str
) -> None:
    await service.start("b", "silent")
    getattr(storage, gate).hold()
    stop = asyncio.create_task(service.stop("b"))
    await wait_until(lambda: getattr(storage, gate).waiting)
    await service.change_labels("b", unit="°C")
    getattr(storage, gate).open()
    assert (await stop).labels == Labels("°C")
    assert visible_labels(service, "b") == {Labels("°C")}


async def test_end_recorded_while_labels_are_written_is_kept(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.start("b", "silent")
    storage.changes.hold()
    change = asyncio.create_task(service.change_labels("b", unit="°C"))
    await wait_until(lambda: storage.changes.waiting)
    await service.stop("b")
    storage.changes.open()
    assert (await change).status is BatchStatus.STOPPED
    assert visible_labels(service, "b") == {Labels("°C")}


async def test_start_waits_for_a_change_of_labels(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.start("b", "silent")
    await service.stop("b")
    storage.changes.hold()
    change = asyncio.create_task(service.change_labels("b", unit="°C"))
    await wait_until(lambda: storage.changes.waiting)
    start = asyncio.create_task(service.start("b", description="Kiln"))
    storage.changes.open()
    await asyncio.gather(change, start)
    assert visible_labels(service, "b") == {Labels("°C", "Kiln")}
    assert await stored_labels(storage, "b") == Labels("°C", "Kiln")


async def test_change_continues_after_its_caller_is_cancelled(
    service: BatchService, storage: MemoryStorage
) -> None:
    await service.start("b", "silent")
    storage.changes.hold()
    change = asyncio.create_task(service.change_labels("b", unit="°C"))
    await wait_until(lambda: storage.changes.waiting)
    change.cancel()
    storage.changes.open()
    await wait_until(lambda: service.batch("b").labels == Labels("°C"))


async def test_failed_change_changes_nothing(service: BatchService, storage: MemoryStorage) -> None:
    await service.start("b", "silent")
    storage.changes.fail("no room")
    with pytest.raises(StoreUnavailableError, match="no room"):
        await service.change_labels("b", unit="°C")
    with pytest.raises(InvalidConfigurationError, match="unit: Must have at most 16 characters"):
        await service.change_labels("b", unit="x" * 17, description="Kiln")
    assert visible_labels(service, "b") == {NO_LABELS}
    with pytest.raises(BatchNotFoundError):
        await service.change_labels("unknown", unit="°C")


async def test_change_increases_the_revision(service: BatchService, storage: MemoryStorage) -> None:
    await service.start("b", "silent")
    before = service.revision
    await service.change_labels("b")
    assert (service.revision, storage.changes.calls) == (before, 0)
    await service.change_labels("b", unit="°C")
    assert service.revision > before


async def test_labels_do_not_change_during_shutdown(service: BatchService) -> None:
    await service.start("b", "silent")
    service.end_streams()
    with pytest.raises(ServiceClosedError):
        await service.change_labels("b", unit="°C")


# -- deletion --------------------------------------------------------------------------------


async def test_deleted_batch_does_not_exist(service: BatchService, storage: MemoryStorage) -> None:
    await run_few(service, "b", "other")
    before = service.revision
    await service.delete("b")
    assert [batch.batch_id for batch in service.batches()] == ["other"]
    assert (service.totals().row_count, service.totals().batch_count) == (3, 1)
    assert [batch.batch_id for batch in await storage.batches()] == ["other"]
    assert service.revision > before
    for query in (service.points("b", 0, 10), service.runs("b"), service.aggregate("b")):
        with pytest.raises(BatchNotFoundError):
            await query
    with pytest.raises(BatchNotFoundError):
        await service.delete("b")


async def test_deleted_batch_can_be_started_again(
    service: BatchService, storage: MemoryStorage
) -> None:
    for _ in range(2):
        await run_few(service, "b")
    await service.change_labels("b", "°C", "Kiln")
    await service.delete("b")
    await run_few(service, "b")
    batch = service.batch("b")
    assert (batch.run.number, batch.run.first_seq, batch.labels) == (1, 1, NO_LABELS)
    assert [point.seq for point in await service.points("b", 0, 10)] == [1, 2, 3]
    assert [run.number for run in await service.runs("b")] == [1]
    assert {line.run for line in await service.log("b")} == {1}
    assert service.totals().row_count == service.row_count(batch) == 3


async def test_name_of_a_deleted_batch_is_suggested(service: BatchService) -> None:
    await run_few(service, "batch-1", "batch-2")
    assert service.suggest_name() == "batch-3"
    await service.delete("batch-1")
    assert service.suggest_name() == "batch-1"


@pytest.mark.parametrize("gate", ["ends", "log_writes"])
async def test_batch_is_not_deleted_before_it_has_ended(
    service: BatchService, storage: MemoryStorage, gate: str
) -> None:
    storage.starts.hold()
    start = asyncio.create_task(service.start("b", "silent"))
    await wait_until(lambda: storage.starts.waiting)
    deletion = asyncio.create_task(service.delete("b"))
    await asyncio.sleep(0)
    storage.starts.open()
    await start
    with pytest.raises(BatchNotEndedError, match=r"b is running\. Stop it to delete it\."):
        await deletion
    getattr(storage, gate).hold()
    stop = asyncio.create_task(service.stop("b"))
    await wait_until(lambda: getattr(storage, gate).waiting)
    with pytest.raises(BatchNotEndedError):
        await service.delete("b")
    getattr(storage, gate).open()
    await stop
    await service.delete("b")
    assert service.batches() == await storage.batches() == []


async def test_one_of_two_concurrent_deletions_succeeds(service: BatchService) -> None:
    await run_few(service, "b")
    deletions = (service.delete("b"), service.delete("b"))
    results = await asyncio.gather(*deletions, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), BatchNotFoundError]


async def test_start_during_a_deletion_creates_a_new_batch(
    service: BatchService, storage: MemoryStorage
) -> None:
    await run_few(service, "b")
    storage.changes.hold()
    deletion = asyncio.create_task(service.delete("b"))
    await wait_until(lambda: storage.changes.waiting)
    start = asyncio.create_task(service.start("b", "few"))
    storage.changes.open()
    await asyncio.gather(deletion, start)
    await wait_until(lambda: not service.running())
    assert [point.seq for point in await service.points("b", 0, 10)] == [1, 2, 3]


async def test_deletion_continues_after_its_caller_is_cancelled(
    service: BatchService, storage: MemoryStorage
) -> None:
    await run_few(service, "b")
    storage.changes.hold()
    deletion = asyncio.create_task(service.delete("b"))
    await wait_until(lambda: storage.changes.waiting)
    deletion.cancel()
    storage.changes.open()
    await wait_until(lambda: not service.running())
    await service.start("other", "silent")  # Waits for the deletion.
    assert [batch.batch_id for batch in service.batches()] == ["other"]
    assert [batch.batch_id for batch in await storage.batches()] == ["other"]


async def test_failed_deletion_changes_nothing(
    service: BatchService, storage: MemoryStorage
) -> None:
    await run_few(service, "b", "other")
    batches, totals, runs = service.batches(), service.totals(), await service.runs("b")
    storage.changes.fail("no room")
    with pytest.raises(StoreUnavailableError, match="no room"):
        await service.delete("b")
    assert (service.batches(), service.totals()) == (batches, totals)
    assert await service.runs("b") == runs
    assert len(await service.points("b", 0, 10)) == service.last_seq(service.batch("b")) == 3
    storage.changes.open()
    await run_few(service, "b")
    assert len(await service.points("b", 0, 10)) == 6
    await service.delete("b")


async def test_batch_is_not_deleted_during_shutdown(service: BatchService) -> None:
    await run_few(service, "b")
    service.end_streams()
    with pytest.raises(ServiceClosedError):
        await service.delete("b")
    assert service.batches()


@pytest.mark.parametrize("is_started_again", [False, True])
async def test_query_during_a_deletion_reports_an_unknown_batch(
    service: BatchService, storage: MemoryStorage, is_started_again: bool
) -> None:
    await run_few(service, "b")
    storage.reads.hold()
    query = asyncio.create_task(service.points("b", 0, 10))
    await wait_until(lambda: storage.reads.waiting)
    await service.delete("b")
    if is_started_again:
        await run_few(service, "b")
    storage.reads.open()
    with pytest.raises(BatchNotFoundError):
        await query


async def test_points_that_cannot_be_removed_are_logged(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise StoreUnavailableError("no room")

    storage.remove_deleted_points = fail  # type: ignore[method-assign]
    async with open_service(storage, few=counting(3)) as service:
        await wait_until(lambda: "still occupy space" in caplog.text)
        caplog.clear()
        await run_few(service, "b")
        await service.delete("b")
        await wait_until(lambda: "no room" in caplog.text)
