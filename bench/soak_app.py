"""The app as it is but for its pace: four of five batches write 25 000 rows a second each.

The first batch that starts keeps the default pace, and whoever reads streams reads that one. The
process notes how late its event loop is. Reflex takes this module for the app where
``REFLEX_APP_MODULE_IMPORT`` names it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import numpy as np

from bench import lags
from solo_app import sources
from solo_app.batches.source import Numbers, Source

_PER_SECOND, _ARRAYS_PER_SECOND = 25_000, 100

_starts = count()
_calm = sources.random_numbers  # type: ignore[attr-defined]


def _one_calm_then_fast(interval: float) -> Source:
    calm = _calm(interval)
    return lambda: _fast() if next(_starts) else calm()


async def _fast() -> AsyncIterator[Numbers]:
    numbers, loop = np.random.default_rng(), asyncio.get_running_loop()
    due = loop.time()
    while True:
        size = _PER_SECOND // _ARRAYS_PER_SECOND
        yield numbers.integers(0, 100, size, endpoint=True).astype(float)
        due += 1 / _ARRAYS_PER_SECOND
        await asyncio.sleep(max(0.0, due - loop.time()))


@asynccontextmanager
async def heartbeat() -> AsyncIterator[None]:
    """Notes the lag of the event loop as long as the app lives."""
    task = asyncio.create_task(lags.note(Path(os.environ[lags.VARIABLE])), name="heartbeat")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


sources.random_numbers = _one_calm_then_fast  # type: ignore[attr-defined]

from solo_app.solo_app import app  # noqa: E402 (assembled with the sources as they are now)

app.register_lifespan_task(heartbeat)
