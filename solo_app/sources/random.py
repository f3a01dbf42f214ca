"""The source ``random``: uniformly distributed integers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import numpy as np

from solo_app.batches.source import Numbers, Source

LOWEST, HIGHEST = 0, 100

_ARRAY_LENGTH = 16_384


def random_numbers(interval: float) -> Source:
    """Return a source of random integers from 0 to 100, one every ``interval`` seconds.

    With an interval of 0 it yields arrays, as fast as the producer accepts them.
    """
    return _arrays if interval == 0 else lambda: _numbers(interval)


async def _numbers(interval: float) -> AsyncIterator[Numbers]:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        yield float(random.randint(LOWEST, HIGHEST))
        # Relative to the due time, so that delays do not accumulate. Points that are missed while
        # the process is suspended are skipped.
        due = max(due + interval, loop.time())
        await asyncio.sleep(due - loop.time())


async def _arrays() -> AsyncIterator[Numbers]:
    generator = np.random.default_rng()
    while True:
        yield generator.integers(LOWEST, HIGHEST, size=_ARRAY_LENGTH, endpoint=True).astype(
            np.float64
        )
        await asyncio.sleep(0)
