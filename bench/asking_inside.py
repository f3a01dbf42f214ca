"""What an answer takes inside the process: that of the service, without HTTP and JSON around it."""

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
from solo_app.batches.service import BatchService
from solo_app.batches.source import DEFAULT_SOURCE
from solo_app.sources.random import random_numbers
from solo_app.storage.duckdb.store import DuckDBStore

_CALLS = 2_000
"""How many calls the median of a round is of."""

_PACE = 0.25


@dataclass(frozen=True, slots=True)
class Asked:
    """A database, and the time (naive UTC) as of which its last whole minute is asked for."""

    database: Path
    at: datetime


@dataclass
class Inside:
    """Microseconds of a call at one size, round by round."""

    aggregate: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)


def call(databases: Mapping[int, Asked], rounds: int) -> dict[int, Inside]:
    """Ask the services of databases of so many rows, in turn, for a minute and for the totals;
    blocks.
    """
    return asyncio.run(_call(databases, rounds))


async def _call(databases: Mapping[int, Asked], rounds: int) -> dict[int, Inside]:
    services = {size: await _opened(asked.database) for size, asked in databases.items()}
    found = {size: Inside() for size in databases}
    for _ in range(rounds):
        for size, service in services.items():
            at = databases[size].at
            spent = []
            for _ in range(_CALLS):
                began = time.perf_counter_ns()
                await service.aggregate(rows.NAMES[0], at)
                spent.append((time.perf_counter_ns() - began) / 1000)
            found[size].aggregate.append(percentile(spent, 50))
            spent = []
            for _ in range(_CALLS):
                began = time.perf_counter_ns()
                service.totals()
                spent.append((time.perf_counter_ns() - began) / 1000)
            found[size].totals.append(percentile(spent, 50))
        await asyncio.sleep(_PACE)
    for service in services.values():
        await service.close()
    return found


async def _opened(database: Path) -> BatchService:
    service = BatchService(DuckDBStore(database), {DEFAULT_SOURCE: random_numbers(_PACE)})
    await service.open()
    for name in rows.NAMES:
        await service.start(name)
    return service


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
