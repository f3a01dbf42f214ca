"""Labels of batches change in the store and in memory, at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from solo_app.batches.errors import (
    BatchNotFoundError,
    InvalidConfigurationError,
    ServiceClosedError,
    StoreUnavailableError,
)
from solo_app.batches.models import NO_LABELS, Batch, BatchStatus, Labels
from solo_app.batches.service import BatchService
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import open_service, silent, wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(storage: MemoryStorage) -> AsyncIterator[BatchService]:
    async with open_service(storage, silent=silent) as opened:
        yield opened
        storage.changes.open()


async def stored_labels(storage: MemoryStorage, batch_id: str) -> Labels:
    (batch,) = [batch for batch in await storage.batches() if batch.batch_id == batch_id]
    return batch.labels


def visible_labels(service: BatchService, batch_id: str) -> set[Labels]:
    """Return the labels of a batch in all lists of the service."""
    listed: list[Batch] = [*service.batches(), *service.running()]
    labels = {batch.labels for batch in listed if batch.batch_id == batch_id}
    return labels | {service.batch(batch_id).labels}


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
