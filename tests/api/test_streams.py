"""What the event stream says besides points."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from solo_app.api import streams
from tests.workbench import open_bench

pytestmark = pytest.mark.anyio


async def test_a_comment_comes_at_its_pace_in_silence_and_among_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert streams.COMMENT_EVERY <= 15  # What is promised.
    monkeypatch.setattr(streams, "COMMENT_EVERY", 0.05)
    async with open_bench(tmp_path) as bench:
        await bench.service.start("b")
        events = streams._events(bench.service, "b", 0)
        assert (await anext(events)).startswith(b"retry: ")
        began = asyncio.get_running_loop().time()
        assert await anext(events) == b": still here\n\n"
        assert asyncio.get_running_loop().time() - began >= 0.05
        # Points come a dozen times as often: a comment is not due to silence.
        monkeypatch.setattr(streams, "COMMENT_EVERY", 0.5)
        events = streams._events(bench.service, "b", 0)
        said: list[bytes] = []
        async with asyncio.timeout(10):
            while said.count(b": still here\n\n") < 2 or not said[-1].startswith(b"id: "):
                bench.script.say(bench.clock.now, 1.0)
                said.append(await anext(events))
