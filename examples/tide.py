"""Yields the level of a simulated tide twice a second."""

import asyncio
import math
import time
from collections.abc import AsyncIterator


async def levels(period: float = 60) -> AsyncIterator[float]:
    while True:
        yield math.sin(2 * math.pi * time.time() / period)
        await asyncio.sleep(0.5)
