"""Retention: how long points stay in the database, and retries after errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.models import Span
from solo_app.batches.retention import Retention
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, wait_until
from tests.storage.stores import HOUR, START, open_store, read_table, write_at

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckDBStore]:
    async with open_store(tmp_path / "solo.duckdb") as opened:
        yield opened


async def test_points_stay_for_the_retention_time_plus_a_day(store: DuckDBStore) -> None:
    await write_at(store, START, START + 12 * HOUR)
    clock = FakeClock((START + 4 * DAY).isoformat())
    retention = Retention(store, 3 * DAY, clock)
    assert await retention.archive_old_points() == 0
    clock.advance(minutes=1)
    assert await retention.archive_old_points() == 2
    assert await retention.archive_old_points() == 0


async def test_points_of_the_current_minute_are_not_archived(store: DuckDBStore) -> None:
    minute = START + timedelta(minutes=1)
    await write_at(store, START, minute, minute + timedelta(seconds=1))
    clock = FakeClock((minute + timedelta(seconds=59)).isoformat())
    assert await Retention(store, timedelta(microseconds=1), clock).archive_old_points() == 1
    assert await read_table(store) == [2, 3]


class ArchivingStorage(MemoryStorage):
    """A store whose archive fails with ``error``, if set."""

    error: Exception | None = None

    async def archivable_spans(self, before: datetime, oldest_before: datetime) -> list[Span]:
        if self.error:
            raise self.error
        return [Span(1, 1, 25)]

    async def move_to_archive(self, span: Span) -> int:
        return span.last_seq - span.first_seq + 1


async def test_span_is_split_into_files() -> None:
    moved: list[tuple[int, int]] = []

    class RecordingStorage(ArchivingStorage):
        async def move_to_archive(self, span: Span) -> int:
            moved.append((span.first_seq, span.last_seq))
            return await super().move_to_archive(span)

    retention = Retention(RecordingStorage(), DAY, lambda: START, points_per_file=10)
    assert await retention.archive_old_points() == 25
    assert moved == [(1, 10), (11, 20), (21, 25)]


async def test_archiving_is_retried_after_any_error() -> None:
    storage = ArchivingStorage()
    retention = Retention(storage, DAY, lambda: START, interval=0.001)
    storage.error = RuntimeError("of any kind")
    running = asyncio.create_task(retention.run())
    await wait_until(lambda: retention.archive_error == "RuntimeError: of any kind")
    storage.error = StoreUnavailableError("no room")
    await wait_until(lambda: retention.archive_error == "no room")
    storage.error = None
    await wait_until(lambda: retention.archive_error is None)
    assert not running.done()
    running.cancel()


async def test_shutdown_is_not_an_archive_error(caplog: pytest.LogCaptureFixture) -> None:
    storage = ArchivingStorage()
    storage.error = ServiceClosedError()
    retention = Retention(storage, DAY, lambda: START)
    async with asyncio.timeout(30):
        await retention.run()
    assert (retention.archive_error, caplog.text) == (None, "")
