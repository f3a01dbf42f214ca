"""The source ``random``: uniformly distributed integers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationInfo, create_model, field_validator

from solo_app.batches.models import RestartPolicy
from solo_app.batches.source import DEFAULT_SOURCE, Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.pacing import delays

MAX_INTEGER = 2**53
"""Doubles represent all integers up to this value exactly."""

Integer = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]

Interval = Annotated[
    float, Field(ge=0, le=3600, description="Seconds between two numbers; 0 = as fast as possible")
]


class RandomParameters(Parameters):
    interval: Interval
    low: Integer = Field(0, description="Minimum")
    high: Integer = Field(100, description="Maximum", validate_default=True)
    seed: int | None = Field(None, ge=0, le=MAX_INTEGER, description="Makes the numbers repeatable")

    @field_validator("high")
    @classmethod
    def _check_range(cls, high: int, info: ValidationInfo) -> int:
        if high < info.data.get("low", high):
            raise ValueError("Must not be below `low`")
        return high


def random_kind(default_interval: float) -> SourceKind:
    """Return the source kind. ``default_interval`` is in seconds; 0 = as fast as possible."""
    parameters = create_model(
        "RandomParameters", __base__=RandomParameters, interval=(Interval, default_interval)
    )
    return SourceKind(DEFAULT_SOURCE, "Random integers.", parameters, _numbers, RestartPolicy.NEVER)


async def _numbers(parameters: RandomParameters, _: RunContext) -> AsyncIterator[Numbers]:
    generator = np.random.default_rng(parameters.seed)
    if parameters.interval == 0:
        while True:
            array = generator.integers(parameters.low, parameters.high, size=16_384, endpoint=True)
            yield array.astype(np.float64)
            await asyncio.sleep(0)
    for delay in delays(parameters.interval):
        await asyncio.sleep(delay)
        yield float(generator.integers(parameters.low, parameters.high, endpoint=True))
