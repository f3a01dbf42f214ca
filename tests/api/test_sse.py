"""Keep-alive comments in event streams."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from solo_app.api import sse
from tests.helpers.service import open_harness, wait_until

pytestmark = pytest.mark.anyio


async def test_comments_are_sent_regularly_with_and_without_points(
    tmp_path: Path,
) -> None:
    assert sse.KEEP_ALIVE_INTERVAL <= 15  # Guaranteed by the contract.
    async with open_harness(tmp_path) as harness:
        await harness.service.start("b")
        events = sse.events(harness.service, "b", 0, keep_alive_interval=0.05)
        assert (await anext(events)).startswith(b"retry: ")
        began = asyncio.get_running_loop().time()
        assert await anext(events) == b": keep-alive\n\n"
        assert asyncio.get_running_loop().time() - began >= 0.05
        harness.script.emit(harness.clock.now, 1.0)
        await wait_until(lambda: harness.service.totals().row_count == 1)
        events = sse.events(harness.service, "b", 0, keep_alive_interval=0)
        received = [await anext(events) for _ in range(3)]
        assert received[1] == b": keep-alive\n\n"
        assert received[2].startswith(b"id: 1\n")
