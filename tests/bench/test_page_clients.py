"""Which updates of open pages count as delivered, and their delays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

pytest.importorskip("psutil", reason="the benchmarks need requirements-dev.txt")

from bench.page_clients import Measured, Page, Received, Update
from solo_app.batches.snapshots import SLOW_TICK, TICK
from solo_app.ui.state.batch import BatchState
from solo_app.ui.state.home import HomeState

pytestmark = pytest.mark.anyio

BATCH = "/batch/b"


def page(
    times: Iterable[float], late: float = 0, stale: int = 0, interval: float = TICK
) -> Received:
    """A page that received the ticks at these seconds, without its ``stale`` latest points."""
    updates = [Update(t + late, (round(t * 1e6),), round(t / TICK) - stale) for t in times]
    return Received(BATCH, updates, interval=interval)


def ticks(interval: float = TICK, until: float = 5, phase: float = 0.1) -> list[float]:
    return [phase + n * interval for n in range(int(until / interval))]


def delivered(*pages: Received) -> float:
    return Measured(0, 5, pages).delivered


@pytest.mark.parametrize("interval", [TICK, SLOW_TICK])
def test_late_updates_of_each_tick_are_delivered(interval: float) -> None:
    measured = Measured(0, 5, [page(ticks(interval), late, interval=interval) for late in (0, 0.9)])
    assert measured.delivered == 100
    assert measured.updates_per_second == pytest.approx(1 / interval)
    assert sorted(measured.delays) == pytest.approx(sorted([0, 900] * int(5 / interval)))


def test_ticks_outside_the_period_do_not_count() -> None:
    measured = Measured(1, 2, [page(ticks())])
    assert measured.update_count == 4
    assert measured.delivered == 100


def test_a_skipped_tick_is_not_delivered() -> None:
    skipping = [t for n, t in enumerate(ticks()) if n != 7]
    assert delivered(page(ticks()), page(skipping)) == pytest.approx(100 * 39 / 40)


def test_a_tick_that_all_pages_skip_is_not_delivered() -> None:
    skipping = [t for n, t in enumerate(ticks()) if n != 7]
    assert delivered(page(skipping)) == pytest.approx(95)


def test_a_page_without_updates_at_the_end_lacks_them() -> None:
    assert delivered(page(ticks(until=4))) == pytest.approx(80)
    assert delivered(page(ticks()), page([])) == pytest.approx(100 * 20 / 39)


def test_an_update_without_the_latest_point_is_not_delivered() -> None:
    assert delivered(page(ticks()), page(ticks(), stale=1)) == 50


def test_the_delay_of_a_home_page_counts_from_the_first_receipt() -> None:
    pages = [Received("/", [Update(at, (1, 7), 7)]) for at in (1.5, 1.7)]
    assert Measured(1, 2, pages).delays == pytest.approx([0, 200])


def test_a_home_page_needs_an_update_each_second_only() -> None:
    def home(*times: float) -> Received:
        return Received("/", [Update(at, (int(at), 7), 7) for at in times])

    assert delivered(home(0.5, 1.5, 2.5, 3.5, 4.5)) == 100
    assert delivered(home(0.5, 1.5, 3.5, 4.5)) == 80


def message(state: type[BatchState] | type[HomeState], **values: object) -> str:
    changed = {f"{name}_rx_state_": value for name, value in values.items()}
    delta = {"another_state": {"row_count_rx_state_": 99}, state.get_full_name(): changed}
    return "42/_event," + json.dumps(["event", {"delta": delta, "events": []}])


async def received(path: str, *messages: str) -> list[Update]:
    client = Page(8000, path)
    for at, text in enumerate(messages):
        client.handle_message(text, at)
    return client.received.updates


async def test_the_page_of_a_batch_keeps_values_that_do_not_change() -> None:
    first: dict[str, Any] = {"update_interval": 1, "chart_end": 10, "points": [{"seq": 4}]}
    updates = await received(
        BATCH,
        message(BatchState, **first),
        message(BatchState, rows_per_second=4.0),
        message(BatchState, chart_end=20),
        message(BatchState, chart_end=30, points=[{"seq": 5}]),
    )
    assert updates == [Update(0, (10,), 4), Update(2, (20,), 4), Update(3, (30,), 5)]


async def test_a_home_page_counts_seconds_and_rows() -> None:
    updates = await received(
        "/",
        message(HomeState, update_interval=1, server_time=8, row_count=4),
        message(HomeState, row_count=5),
        message(HomeState, server_time=9),
    )
    assert updates == [Update(0, (8, 4), 4), Update(1, (8, 5), 5), Update(2, (9, 5), 5)]
