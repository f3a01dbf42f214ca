"""The source ``host``."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import SimpleNamespace
from typing import NamedTuple, cast, get_args

import psutil
import pytest

from solo_app.batches.errors import InvalidConfigurationError, SourceError
from solo_app.batches.source import RunContext
from solo_app.sources.host import HOST, HostParameters

pytestmark = pytest.mark.anyio

METRICS = get_args(HostParameters.model_fields["metric"].annotation)


def host_numbers(metric: str) -> AsyncGenerator[float]:
    parameters = HOST.parse({"metric": metric, "interval": 0.1})
    return cast(AsyncGenerator[float], HOST.read(parameters, cast(RunContext, None)))


async def read(metric: str, count: int) -> list[float]:
    async with aclosing(host_numbers(metric)) as source:
        return [await anext(source) for _ in range(count)]


def use_cpu(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize("metric", METRICS)
async def test_every_metric_is_a_number_of_its_range(metric: str) -> None:
    try:
        numbers = await read(metric, 2)
    except SourceError as error:
        pytest.skip(str(error))
    for number in numbers:
        assert isinstance(number, float)
        assert math.isfinite(number)
        assert 0 <= number <= (100 if metric.endswith("_percent") else math.inf)


class CpuTimes(NamedTuple):
    """CPU times on Linux. User times include guest times."""

    user: float
    idle: float
    iowait: float
    guest: float


@pytest.mark.parametrize(
    ("before", "after", "usage"),
    [
        (CpuTimes(10, 90, 5, 1), CpuTimes(13, 90.5, 5.5, 2), 75),
        (CpuTimes(10, 90, 5, 0), CpuTimes(13, 90, 4, 0), 100),
        (CpuTimes(10, 90, 5, 0), CpuTimes(10, 90, 5, 0), 0),
    ],
)
async def test_cpu_usage_excludes_waiting_and_counts_guests_once(
    monkeypatch: pytest.MonkeyPatch, before: CpuTimes, after: CpuTimes, usage: float
) -> None:
    times = iter([before, after])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(times))
    assert await read("cpu_percent", 1) == [usage]


async def test_batches_measure_the_cpu_independently() -> None:
    async with (
        aclosing(host_numbers("cpu_percent")) as first,
        aclosing(host_numbers("cpu_percent")) as second,
    ):
        for source in (first, second):
            await anext(source)
        use_cpu(0.1)
        # Both are due, so they measure one immediately after the other.
        assert await anext(first) > 0
        assert await anext(second) > 0


def set_counters(
    monkeypatch: pytest.MonkeyPatch, function: str, *samples: object, seconds: float = 2
) -> None:
    """Set the return values of a psutil function, and the seconds between two calls."""
    values, now = iter(samples), iter(range(0, 100, int(seconds)))
    monkeypatch.setattr(psutil, function, lambda **_: next(values))
    monkeypatch.setattr("solo_app.sources.host.time", SimpleNamespace(monotonic=lambda: next(now)))


def received(**counts: int) -> dict[str, object]:
    return {name: SimpleNamespace(bytes_recv=count) for name, count in counts.items()}


async def test_network_rate_excludes_the_loopback_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, after = received(lo=0, eth0=500, eth1=0), received(lo=9_000, eth0=1_500, eth1=200)
    set_counters(monkeypatch, "net_io_counters", before, after)
    assert await read("net_received_bytes_per_second", 1) == [600]


async def test_removed_interface_does_not_make_the_rate_negative(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = received(eth0=0, vpn=5_000), received(eth0=100), received(eth0=300)
    set_counters(monkeypatch, "net_io_counters", *samples)
    assert await read("net_received_bytes_per_second", 2) == [0, 100]


async def test_missing_disk_counters_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    set_counters(monkeypatch, "disk_io_counters", None)
    with pytest.raises(SourceError, match="no disk counters"):
        await read("disk_read_bytes_per_second", 1)


def test_default_is_the_cpu_usage_every_second() -> None:
    assert HOST.parse({}).model_dump() == {"metric": "cpu_percent", "interval": 1}


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"metric": "cpu"}, "metric"),
        ({"metric": ""}, "metric"),
        ({"metric": None}, "metric"),
        ({"metric": 1}, "metric"),
        ({"metric": ["cpu_percent"]}, "metric"),
        ({"interval": 0}, "interval"),
        ({"interval": 0.09}, "interval"),
        ({"interval": 3601}, "interval"),
        ({"interval": "1"}, "interval"),
        ({"interval": True}, "interval"),
        ({"interval": None}, "interval"),
        ({"interval": float("nan")}, "interval"),
        ({"path": "/"}, "path"),
    ],
)
def test_invalid_parameter_is_named(parameters: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        HOST.parse(parameters)
    assert list(raised.value.errors) == [f"parameters.{field}"]
