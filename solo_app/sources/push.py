"""The source ``push``: points that clients send. The service appends them to the run."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from pydantic import Field

from solo_app.batches.models import RestartPolicy
from solo_app.batches.source import PUSH_SOURCE, Numbers, Parameters, RunContext, SourceKind


class PushParameters(Parameters):
    idle_seconds: float = Field(
        0,
        ge=0,
        title="Idle timeout",
        description="Seconds without points after which the batch ends; 0 = never",
    )


async def _end_when_idle(parameters: PushParameters, run: RunContext) -> AsyncIterator[Numbers]:
    """Yield nothing, and end after ``idle_seconds`` without points."""
    limit = parameters.idle_seconds or math.inf
    while (remaining := limit - run.idle_seconds) > 0:  # noqa: ASYNC110 (no event when idle)
        await asyncio.sleep(remaining)
    return
    yield 0.0  # Makes this function a generator.


PUSH = SourceKind(
    PUSH_SOURCE, "Points sent by clients.", PushParameters, _end_when_idle, RestartPolicy.NEVER
)
