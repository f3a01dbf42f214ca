"""The source ``random``."""

from __future__ import annotations

import time
from contextlib import aclosing

import numpy as np
import pytest

from solo_app.batches.source import to_array
from solo_app.config import Settings
from solo_app.sources import create_sources
from solo_app.sources.random import random_numbers

pytestmark = pytest.mark.anyio


async def read(interval: float, count: int) -> list[np.ndarray]:
    items = []
    async with aclosing(random_numbers(interval)()) as numbers:  # type: ignore[type-var]
        async for item in numbers:
            items.append(to_array(item))
            if len(items) == count:
                break
    return items


@pytest.mark.parametrize("interval", [0, 0.000_1])
async def test_numbers_are_whole_and_from_0_to_100(interval: float) -> None:
    numbers = np.concatenate(await read(interval, 200))
    assert numbers.min() >= 0
    assert numbers.max() <= 100
    assert np.array_equal(numbers, np.trunc(numbers))
    assert len(np.unique(numbers)) > 50


async def test_interval_of_0_yields_arrays() -> None:
    assert all(len(array) > 1_000 for array in await read(0, 3))


async def test_numbers_missed_during_a_pause_are_skipped() -> None:
    interval, count = 0.02, 0
    async with aclosing(random_numbers(interval)()) as numbers:  # type: ignore[type-var]
        async for _ in numbers:
            count += 1
            if count == 1:
                time.sleep(10 * interval)  # noqa: ASYNC251 (blocks the event loop)
                resumed = time.monotonic()
            if count == 5:
                break
    # One number is due immediately; the others follow at the interval.
    assert time.monotonic() - resumed > 2.5 * interval


def test_random_source_uses_the_interval_setting() -> None:
    sources = create_sources(Settings.model_construct(interval=0))
    assert list(sources) == ["random"]
