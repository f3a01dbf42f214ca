"""The source ``random``: uniformly distributed integers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from solo_app.batches.models import RestartPolicy
from solo_app.batches.source import DEFAULT_SOURCE, Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.pacing import Pacer

MAX_INTEGER = 2**53
"""Doubles represent all integers up to this value exactly."""

_ARRAY_LENGTH = 16_384


def random_kind(default_interval: float) -> SourceKind:
    """Return the source kind. ``default_interval`` is in seconds; 0 = as fast as possible."""

    class RandomParameters(Parameters):
        interval: float = Field(
            default_interval,
            ge=0,
            le=3600,
            title="Interval",
            description="Seconds between two numbers; 0 = as fast as possible",
        )
        low: int = Field(0, ge=-MAX_INTEGER, le=MAX_INTEGER, title="Low", description="Minimum")
        high: int = Field(
            100,
            ge=-MAX_INTEGER,
            le=MAX_INTEGER,
            title="High",
            description="Maximum",
            validate_default=True,
        )
        seed: int | None = Field(
            None, ge=0, le=MAX_INTEGER, title="Seed", description="Repeats the same numbers"
        )

        @field_validator("high")
        @classmethod
        def _check_range(cls, high: int, info: ValidationInfo) -> int:
            if high < info.data.get("low", high):
                raise ValueError("Must not be below `low`")
            return high

    async def numbers(parameters: RandomParameters, _: RunContext) -> AsyncIterator[Numbers]:
        generator = np.random.default_rng(parameters.seed)
        low, high = parameters.low, parameters.high
        if parameters.interval == 0:
            while True:
                array = generator.integers(low, high, size=_ARRAY_LENGTH, endpoint=True)
                yield array.astype(np.float64)
                await asyncio.sleep(0)
        pacer = Pacer(parameters.interval)
        while True:
            yield float(generator.integers(low, high, endpoint=True))
            await pacer.wait()

    return SourceKind(
        DEFAULT_SOURCE, "Random integers.", RandomParameters, numbers, RestartPolicy.NEVER
    )
