"""Which events count as delivered, and their delays."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

pytest.importorskip("wsproto", reason="the benchmarks need requirements-dev.txt")

from bench.clients import Client, evaluate

pytestmark = pytest.mark.anyio

TICKS = [0.1, 0.35, 0.6, 0.85]


def ticking(times: Iterable[float], late: float = 0, channel: str = "page") -> Client:
    """A client that received the ticks at these times, ``late`` seconds late."""
    client = Client(channel, interval=0.25)
    for time in times:
        client.add(round(time * 1e6), time, time + late)
    return client


def counting(*numbers: int, channel: str = "stream") -> Client:
    """A client that received numbered events, all at 0.5 s."""
    client = Client(channel)
    for number in numbers:
        client.add(number, 0.5, 0.5)
    return client


def delivered(*clients: Client) -> float:
    return evaluate(clients, 0, 1)[0]


async def test_late_events_are_delivered() -> None:
    percentage, delays = evaluate([ticking(TICKS), ticking(TICKS, late=2)], 0, 1)
    assert percentage == 100
    assert delays == pytest.approx([0] * 4 + [2000] * 4)


async def test_events_outside_the_period_do_not_count() -> None:
    percentage, delays = evaluate([ticking([-0.15, *TICKS, 1.1])], 0, 1)
    assert (percentage, len(delays)) == (100, 4)


async def test_event_of_another_client_is_missing() -> None:
    assert delivered(ticking(TICKS), ticking(TICKS[:3])) == pytest.approx(100 * 7 / 8)


async def test_tick_that_no_client_received_is_missing() -> None:
    assert delivered(ticking([0.1, 0.6, 0.85])) == 75


async def test_ticks_at_the_end_are_missing() -> None:
    assert delivered(ticking([0.1, 0.35])) == pytest.approx(50)


async def test_client_without_events_misses_all() -> None:
    assert delivered(ticking(TICKS), ticking([])) == 50


async def test_number_that_no_client_received_is_missing() -> None:
    assert delivered(counting(3, 4, 6)) == 75


async def test_event_received_twice_counts_once() -> None:
    assert delivered(counting(1, 2, 2)) == 100


async def test_channels_have_their_own_numbers() -> None:
    assert delivered(counting(1, 2), counting(7, 8, channel="other")) == 100


async def test_event_without_time_is_created_at_its_first_receipt() -> None:
    clients = [Client("home", interval=1), Client("home", interval=1)]
    for client, at in zip(clients, (0.7, 0.5), strict=True):
        client.add(12, at, at)
    percentage, delays = evaluate(clients, 0, 1)
    assert percentage == 100
    assert delays == pytest.approx([200, 0])
