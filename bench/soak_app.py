"""The app as it is but for its pace: four of five batches write 25 000 rows a second each.

The first batch that starts keeps the default pace, and whoever reads streams reads that one. The
process notes how late its event loop is. Reflex takes this module for the app where
``REFLEX_APP_MODULE_IMPORT`` names it.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import numpy as np

from bench import lags
from solo_app.batches import sources
from solo_app.batches.sources import Numbers, Source

_BEAT = 0.01
_PER_SECOND, _ARRAYS_PER_SECOND = 25_000, 100

_starts = count()
_calm = sources.random


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
    task = asyncio.create_task(_beat(Path(os.environ[lags.VARIABLE])), name="heartbeat")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat(file: Path) -> None:
    late: list[float] = []
    own: list[float] = []
    told = time.monotonic()
    while True:
        waited, began = _waited(), time.perf_counter()
        await asyncio.sleep(_BEAT)
        late.append((time.perf_counter() - began - _BEAT) * 1000)
        own.append(max(0.0, late[-1] - (_waited() - waited)))
        if time.monotonic() - told >= lags.EVERY:
            beats = {"late": [round(lag, 3) for lag in late], "own": max(own)}
            with file.open("a") as lines:
                lines.write(json.dumps(beats) + "\n")
            late.clear()
            own.clear()
            told = time.monotonic()


def _waited() -> float:
    """Milliseconds that this thread, ready to run, has waited for a processor; 0 where the system
    does not tell. https://docs.kernel.org/scheduler/sched-stats.html
    """
    try:
        told = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text()
    except OSError:
        return 0.0
    return int(told.split()[1]) / 1e6


sources.random = _one_calm_then_fast

from solo_app.solo_app import app  # noqa: E402 (assembled with the sources as they are now)

app.register_lifespan_task(heartbeat)
