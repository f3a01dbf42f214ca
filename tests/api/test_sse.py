"""Keep-alive comments in event streams."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from solo_app.api import sse
from tests.workbench import open_bench, until

pytestmark = pytest.mark.anyio


async def test_comments_are_sent_regularly_with_and_without_points(
    tmp_path: Path,
) -> None:
    assert sse.KEEP_ALIVE_INTERVAL <= 15  # Guaranteed by the contract.
    async with open_bench(tmp_path) as bench:
        await bench.service.start("b")
        events = sse.events(bench.service, "b", 0, keep_alive_interval=0.05)
        assert (await anext(events)).startswith(b"retry: ")
        began = asyncio.get_running_loop().time()
        assert await anext(events) == b": keep-alive\n\n"
        assert asyncio.get_running_loop().time() - began >= 0.05
        bench.script.say(bench.clock.now, 1.0)
        await until(lambda: bench.service.totals().row_count == 1)
        events = sse.events(bench.service, "b", 0, keep_alive_interval=0)
        received = [await anext(events) for _ in range(3)]
        assert received[1] == b": keep-alive\n\n"
        assert received[2].startswith(b"id: 1\n")
