"""A source that blocks the event loop is told by its name and its line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from solo_app import watchdog
from solo_app.watchdog import watched_loop
from tests.workbench import open_service, until

pytestmark = pytest.mark.anyio


async def blocking() -> AsyncIterator[float]:
    """Lets nobody else have a turn while it waits, twice; then it is as it should be."""
    for _ in range(2):
        time.sleep(0.5)  # noqa: ASYNC251 (that is what it is about)
        yield 1.0
    await asyncio.Event().wait()


async def test_a_source_that_blocks_everybody_is_named_once_for_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "PATIENCE", 0.2)
    with watched_loop():
        async with open_service(tmp_path / "solo.duckdb", blocking=blocking) as service:
            await service.start("culprit", "blocking")
            await until(lambda: service.totals().row_count == 2)
    told = [record.getMessage() for record in caplog.records if record.name == watchdog.__name__]
    assert len(told) in (1, 2)
    assert all("producer:culprit" in line and "time.sleep(0.5)" in line for line in told)


async def test_a_loop_that_goes_round_is_told_of_by_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "PATIENCE", 0.4)
    with watched_loop():
        await asyncio.sleep(0.6)
    assert not caplog.records
