"""The interval between two numbers of a source."""

from __future__ import annotations

import asyncio

import pytest

from solo_app.sources.pacing import Pacer

pytestmark = pytest.mark.anyio


async def test_delays_do_not_accumulate_and_missed_times_are_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, waits = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        patch.setattr(asyncio, "sleep", sleep)
        pacer = Pacer(10)
        for delay in (1, 2, 35, 0):
            now += delay
            await pacer.wait()
    assert waits == [9, 8, 0, 10]
