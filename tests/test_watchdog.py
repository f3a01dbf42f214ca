"""A source that blocks the event loop is logged with its batch, its name and its line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from solo_app import watchdog
from solo_app.watchdog import watch_loop
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio


async def blocking() -> AsyncIterator[float]:
    """Block the event loop twice, then wait like a correct source."""
    for _ in range(2):
        time.sleep(0.5)  # noqa: ASYNC251 (the fault under test)
        yield 1.0
    await asyncio.Event().wait()


async def test_blocking_source_is_logged_with_batch_source_and_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with watch_loop(blocked_after=0.2):
        async with open_service(tmp_path / "solo.duckdb", blocking=blocking) as service:
            await service.start("culprit", "blocking")
            await wait_until(lambda: service.totals().row_count == 2)
    lines = [record.getMessage() for record in caplog.records if record.name == watchdog.__name__]
    assert len(lines) in (1, 2)
    for line in lines:
        assert line.startswith("Event loop blocked for 0.2 s by producer:culprit:blocking:")
        assert "time.sleep(0.5)" in line


async def test_responsive_loop_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with watch_loop(blocked_after=4.0):
        await asyncio.sleep(0.6)
    assert not caplog.records
