"""What an answer takes inside the process, without HTTP around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bench import rows
from bench.figures import Figure, told, under
from bench.samples import percentile
from solo_app.batches import sources
from solo_app.batches.service import BatchService
from solo_app.batches.store.database import Store

_CALLS = 2_000
"""How many calls the median of a round is of."""

_PACE = 0.25


@dataclass
class Inside:
    """Microseconds of a call at one size, round by round."""

    aggregate: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)


def call(database: Path, at: datetime, rounds: int) -> Inside:
    """Ask the service of a database for the minute before ``at`` and for the totals; blocks."""
    return asyncio.run(_call(database, at, rounds))


async def _call(database: Path, at: datetime, rounds: int) -> Inside:
    found = Inside()
    service = BatchService(Store(database), {sources.DEFAULT_SOURCE: sources.random(_PACE)})
    await service.open()
    for name in rows.NAMES:
        await service.start(name)
    for _ in range(rounds):
        spent = []
        for _ in range(_CALLS):
            began = time.perf_counter_ns()
            await service.aggregate(rows.NAMES[0], at)
            spent.append((time.perf_counter_ns() - began) / 1000)
        found.aggregate.append(percentile(spent, 50))
        spent = []
        for _ in range(_CALLS):
            began = time.perf_counter_ns()
            service.totals()
            spent.append((time.perf_counter_ns() - began) / 1000)
        found.totals.append(percentile(spent, 50))
        await asyncio.sleep(_PACE)
    await service.close()
    return found


def figures_inside(found: Mapping[int, Inside]) -> Iterator[Figure]:
    """The figures of each size, and how the largest compares with the smallest."""
    smallest, largest = found[min(found)], found[max(found)]
    for path, name in (("/agg", "aggregate"), ("GET /", "totals")):
        for size, inside in found.items():
            yield Figure(
                f"{path}, {told(size)} rows, inside the process",
                "us",
                getattr(inside, name),
                targets=(under(10, "us"),),
            )
        yield Figure(
            f"{path}, inside, {told(max(found))} rows to {told(min(found))}",
            "times",
            [a / b for a, b in zip(getattr(largest, name), getattr(smallest, name), strict=True)],
            targets=(under(1.5),),
        )
