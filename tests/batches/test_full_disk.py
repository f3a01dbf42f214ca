"""While the disk takes nothing, what is written is told, and nobody waits for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches import ingest
from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import MINUTE, Window
from solo_app.batches.service import BatchService
from tests.api.conftest import client_of
from tests.workbench import Disk, HandClock, Script, open_service, until

pytestmark = pytest.mark.anyio

TEN = datetime(2012, 11, 11, 10)
LONG_AGO = Window(TEN - timedelta(hours=3), TEN)


@pytest.fixture
def clock() -> HandClock:
    return HandClock("2012-11-11 07:00:30")


@pytest.fixture
def script(clock: HandClock) -> Script:
    return Script(clock)


@pytest.fixture
async def service(tmp_path: Path, clock: HandClock, script: Script) -> AsyncIterator[BatchService]:
    """One batch that ended three hours ago, with a point, and one that runs, with one of now."""
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as opened:
        for batch_id, now in (("ended", TEN - timedelta(hours=3)), ("b", TEN)):
            batch = await opened.start(batch_id, "script")
            script.say(now, 1.0)
            await until(lambda: opened.row_count(batch) == 1)  # noqa: B023
            if batch_id == "ended":
                await opened.stop(batch_id)
        yield opened


@pytest.fixture
def disk(service: BatchService, monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(ingest, "RETRY_AFTER", 0.01)
    return Disk(service, monkeypatch)


async def test_who_needs_points_that_cannot_be_written_is_refused_and_told_why(
    service: BatchService, disk: Disk, clock: HandClock, script: Script
) -> None:
    disk.hold()
    script.say(TEN + timedelta(seconds=59), 2.0)
    await until(lambda: service._ingest._committing)
    clock.now = TEN + MINUTE
    began_before = asyncio.create_task(service.aggregate("b"))
    await until(lambda: service._ingest._barriers)
    disk.refuse()
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError, match="no room"):
            await began_before
        for question in (service.aggregate("b"), service.minutes("b", LONG_AGO)):
            with pytest.raises(StoreUnavailableError, match="no room"):
                await question
        async with client_of(service) as client:
            answer = await client.get("/agg/b")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "no room" in answer.json()["detail"]
    disk.take()
    async with asyncio.timeout(5):
        await until(lambda: not service.totals().write_error)
        minute = (await service.aggregate("b")).minute
    assert minute
    assert minute.count == 2


async def test_what_is_written_is_told_whatever_else_waits(
    service: BatchService, disk: Disk, clock: HandClock, script: Script
) -> None:
    disk.refuse()
    script.say(TEN + MINUTE, 2.0)
    await until(lambda: service.totals().write_error)
    async with asyncio.timeout(5):
        assert [m.count for m in await service.minutes("ended", LONG_AGO)] == [1]
        assert (await service.aggregate("ended")).minute is None
        told = (await service.aggregate("b")).minute  # The point that waits is of the next one.
        assert told
        assert told.count == 1
        clock.advance(minutes=1)
        with pytest.raises(StoreUnavailableError):
            await service.aggregate("b")
    disk.take()
