"""The source ``host``: metrics of this machine."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import psutil
from pydantic import Field

from solo_app.batches.errors import SourceError
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.pacing import delays


class HostParameters(Parameters):
    metric: Literal[
        "cpu_percent",
        "memory_percent",
        "swap_percent",
        "disk_percent",
        "load_1m",
        "net_received_bytes_per_second",
        "net_sent_bytes_per_second",
        "disk_read_bytes_per_second",
        "disk_written_bytes_per_second",
    ] = Field("cpu_percent", description="What to measure on this machine")
    interval: float = Field(1, ge=0.1, le=3600, description="Seconds between two numbers")


async def _numbers(parameters: HostParameters, _: RunContext) -> AsyncIterator[Numbers]:
    # No threads: a sample takes less than a millisecond.
    if gauge := _GAUGES.get(parameters.metric):
        for delay in delays(parameters.interval):
            await asyncio.sleep(delay)
            yield gauge()
    sample = _COUNTERS[parameters.metric]
    # On Linux, the iowait counter can decrease, and with it the total.
    limit = 100.0 if parameters.metric == "cpu_percent" else math.inf
    previous = sample()
    await asyncio.sleep(min(parameters.interval, 1))  # A rate needs two samples.
    for delay in delays(parameters.interval):
        await asyncio.sleep(delay)
        current = sample()
        yield min(_rate(previous, current), limit)
        previous = current


Sample = tuple[float, float]
"""A counter, and the time or amount by which its increase is divided."""


def _rate(previous: Sample, current: Sample) -> float:
    """Return the increase per unit; 0 if the counter was reset."""
    increase, units = current[0] - previous[0], current[1] - previous[1]
    return round(max(increase / units, 0.0), 1) if units > 0 else 0.0


def _cpu() -> Sample:
    """Return the busy and the total CPU time.

    ``psutil.cpu_percent`` shares its previous sample among all callers, so two batches would
    interfere with each other.
    """
    times = psutil.cpu_times()
    # Linux counts guest times as user times too.
    total = sum(times) - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0)
    return 100 * (total - times.idle - getattr(times, "iowait", 0)), total


def _network(field: str) -> Sample:
    interfaces = psutil.net_io_counters(pernic=True).items()
    total = sum(getattr(it, field) for name, it in interfaces if name not in ("lo", "lo0"))
    return total, time.monotonic()


def _disk(field: str) -> Sample:
    counters: Any = psutil.disk_io_counters()
    if counters is None:
        raise SourceError("This machine has no disk counters")
    return getattr(counters, field), time.monotonic()


_GAUGES: dict[str, Callable[[], float]] = {
    "memory_percent": lambda: psutil.virtual_memory().percent,
    "swap_percent": lambda: psutil.swap_memory().percent,
    "disk_percent": lambda: psutil.disk_usage("/").percent,
    "load_1m": lambda: psutil.getloadavg()[0],
}

_COUNTERS: dict[str, Callable[[], Sample]] = {
    "cpu_percent": _cpu,
    "net_received_bytes_per_second": lambda: _network("bytes_recv"),
    "net_sent_bytes_per_second": lambda: _network("bytes_sent"),
    "disk_read_bytes_per_second": lambda: _disk("read_bytes"),
    "disk_written_bytes_per_second": lambda: _disk("write_bytes"),
}

HOST = SourceKind("host", "Metrics of this machine.", HostParameters, _numbers)
