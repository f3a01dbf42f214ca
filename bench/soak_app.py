"""The app of the soak: one batch has the default pace, the others write 25,000 rows/s each.

Reflex imports this module instead of ``solo_app`` if ``REFLEX_APP_MODULE_IMPORT`` names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from solo_app import sources
from solo_app.batches.source import Numbers, RunContext, SourceKind

_ROWS_PER_SECOND, _ARRAYS_PER_SECOND = 25_000, 100

_random_kind = sources.random_kind  # type: ignore[attr-defined]
_starts = count()


def _first_slow(interval: float) -> SourceKind:
    slow = _random_kind(interval)

    def read(parameters: Any, context: RunContext) -> AsyncIterator[Numbers]:
        return _fast() if next(_starts) else slow.read(parameters, context)

    return replace(slow, read=read)


async def _fast() -> AsyncIterator[Numbers]:
    generator, loop = np.random.default_rng(), asyncio.get_running_loop()
    due = loop.time()
    while True:
        size = _ROWS_PER_SECOND // _ARRAYS_PER_SECOND
        yield generator.integers(0, 100, size, endpoint=True).astype(float)
        due += 1 / _ARRAYS_PER_SECOND
        await asyncio.sleep(max(0.0, due - loop.time()))


sources.random_kind = _first_slow  # type: ignore[attr-defined, assignment]

from solo_app.solo_app import app  # noqa: E402, F401 (assembled with these sources)
