"""The source ``random``."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import numpy as np
import pytest

from solo_app.batches.errors import InvalidConfigurationError
from solo_app.batches.source import Numbers, RunContext, to_array
from solo_app.config import Settings
from solo_app.sources import create_sources
from solo_app.sources.random import random_kind

pytestmark = pytest.mark.anyio


def random_numbers(**parameters: object) -> AsyncGenerator[Numbers]:
    kind = random_kind(0.25)
    return cast(AsyncGenerator[Numbers], kind.read(kind.parse(parameters), cast(RunContext, None)))


async def read(interval: float, count: int, **parameters: object) -> list[np.ndarray]:
    items = []
    async with aclosing(random_numbers(interval=interval, **parameters)) as numbers:
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
    async with aclosing(random_numbers(interval=interval)) as numbers:
        async for _ in numbers:
            count += 1
            if count == 1:
                time.sleep(10 * interval)  # noqa: ASYNC251 (blocks the event loop)
                resumed = time.monotonic()
            if count == 5:
                break
    # One number is due immediately; the others follow at the interval.
    assert time.monotonic() - resumed > 2.5 * interval


@pytest.mark.parametrize("interval", [0, 0.000_1])
async def test_numbers_respect_limits_and_seed(interval: float) -> None:
    first, second = [
        np.concatenate(await read(interval, 50, low=-3, high=2, seed=7)) for _ in range(2)
    ]
    assert {*first} == {-3, -2, -1, 0, 1, 2}
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"interval": -1}, ["parameters.interval"]),
        ({"interval": 3601}, ["parameters.interval"]),
        ({"interval": "1"}, ["parameters.interval"]),
        ({"interval": True}, ["parameters.interval"]),
        ({"interval": float("nan")}, ["parameters.interval"]),
        ({"interval": None}, ["parameters.interval"]),
        ({"low": 101}, ["parameters.high"]),
        ({"low": 0.5, "high": 2**53 + 1}, ["parameters.low", "parameters.high"]),
        ({"seed": -1}, ["parameters.seed"]),
        ({"other": 1}, ["parameters.other"]),
    ],
)
def test_invalid_parameters_are_named(parameters: dict[str, object], fields: list[str]) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        random_kind(0.25).parse(parameters)
    assert list(raised.value.errors) == fields


def test_random_source_uses_the_interval_setting() -> None:
    kind = create_sources(Settings.model_construct(interval=7))["random"]
    assert kind.parse({}).model_dump() == {"interval": 7, "low": 0, "high": 100, "seed": None}
