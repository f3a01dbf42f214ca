"""The interval between two numbers of a source."""

from __future__ import annotations

import asyncio

import pytest

from solo_app.sources.pacing import delays

pytestmark = pytest.mark.anyio


async def test_delays_do_not_accumulate_and_missed_times_are_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, waits = 100.0, []
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        for delay, busy in zip(delays(10), (1, 2, 35, 0, 0), strict=False):
            waits.append(delay)
            now += delay + busy
    assert waits == [0, 9, 8, 0, 10]
