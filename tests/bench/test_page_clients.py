"""The deltas of Reflex that a page client counts as updates."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("wsproto", reason="the benchmarks need requirements-dev.txt")

from bench.page_clients import BATCH_VAR, HOME_VAR, Page
from solo_app.ui.state.batch import BatchState
from solo_app.ui.state.home import HomeState

pytestmark = pytest.mark.anyio


def message(state: type[BatchState] | type[HomeState], **values: object) -> str:
    changed = {f"{name}_rx_state_": value for name, value in values.items()}
    delta = {"another_state": {"row_count_rx_state_": 99}, state.get_full_name(): changed}
    return "42/_event," + json.dumps(["event", {"delta": delta, "events": []}])


def received(path: str, *messages: str) -> dict[int, tuple[float, float]]:
    client = Page(8000, path, 0.25)
    for at, text in enumerate(messages):
        client.handle_message(text, at)
    return client.events


async def test_states_have_the_vars_that_clients_read() -> None:
    assert BATCH_VAR in BatchState.base_vars
    assert HOME_VAR in HomeState.base_vars


async def test_batch_page_is_updated_by_the_end_of_its_chart() -> None:
    events = received(
        "/batch/b",
        message(BatchState, chart_end=0),
        message(BatchState, chart_end=1_500_000),
        message(BatchState, rows_per_second=4.0),
    )
    assert events == {1_500_000: (1.5, 1)}


async def test_home_page_is_updated_by_its_row_count() -> None:
    events = received(
        "/",
        message(HomeState, row_count=0),
        message(HomeState, row_count=5, server_time=8),
        message(HomeState, server_time=9),
    )
    assert events == {5: (1, 1)}
