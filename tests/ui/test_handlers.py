"""Clients can call only the intended handlers. Arguments of any type are safe."""

from __future__ import annotations

from typing import Any

import pytest
import reflex as rx

from solo_app.ui.state.batch import BatchState, LogState, MinutesState
from solo_app.ui.state.home import HomeState
from tests.ui.tabs import Tabs

pytestmark = pytest.mark.anyio

ALLOWED: dict[Any, set[str]] = {
    HomeState: {
        "stream_updates",
        "start",
        "start_again",
        "stop",
        "search_batches",
        "filter_by_status",
        "show_page",
        "clear_filters",
        "clear_error",
        "clear_field_error",
        "choose_source",
        "restore_source",
        "fold",
        "load_configuration",
        "wait_for_first_point",
    },
    BatchState: {
        "stream_updates",
        "start",
        "stop",
        "show_range",
        "show_earlier_runs",
        "pause",
        "filter_log",
        "show_earlier_lines",
        "edit_label",
        "cancel_edit",
        "save_label",
        "delete",
    },
    MinutesState: set(),
    LogState: set(),
}
JUNK: list[Any] = [None, 0, -1, 1.5, True, "", "../x", "x" * 100_000, [], ["b"], {}, {"a": []}]
ARGUMENT = {
    "start": "form",
    "start_again": "batch_id",
    "stop": "batch_id",
    "search_batches": "text",
    "filter_by_status": "status_filter",
    "show_page": "page",
    "clear_field_error": "field",
    "choose_source": "source",
    "restore_source": "source",
    "load_configuration": "name",
}


def own_states() -> list[Any]:
    return [state for state in rx.State.get_substates() if state.__module__.startswith("solo_app")]


def test_only_listed_handlers_can_be_called() -> None:
    assert set(own_states()) == set(ALLOWED)
    for state, allowed in ALLOWED.items():
        assert set(state.event_handlers) - set(rx.State.event_handlers) == allowed


@pytest.mark.parametrize("state", [HomeState, BatchState])
async def test_only_page_loads_start_updates(
    tabs: Tabs, batch_id: str, state: type[rx.State]
) -> None:
    await tabs.open("tab", batch_id)
    await tabs.send("tab", state, "stream_updates")
    assert tabs.ticker.viewers == 0


@pytest.mark.parametrize("handler", sorted(ARGUMENT))
async def test_invalid_arguments_on_home_page_have_no_effect(
    tabs: Tabs, batch_id: str, handler: str
) -> None:
    others = [batch.batch_id for batch in tabs.service.batches()]
    await tabs.service.start(batch_id)
    await tabs.open("tab")
    for junk in JUNK:
        await tabs.send("tab", HomeState, handler, **{ARGUMENT[handler]: junk})
    await tabs.send("tab", HomeState, "start", form={"batch_id": ["x"]})
    assert [batch.batch_id for batch in tabs.service.batches()] == [batch_id, *others]
    assert len(tabs.service.running()) == 1
    assert len(await tabs.service.runs(batch_id)) == 1
    assert not tabs.errors
    state = await tabs.state("tab", HomeState)
    assert isinstance(state.search, str)
    assert len(state.search) <= 64
    assert state.status_filter == "all"


async def test_unknown_arguments_have_no_effect(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open("tab", batch_id)
    await _send_invalid(tabs, BatchState, "stop", batch_id=batch_id)
    await _send_invalid(tabs, HomeState, "stop", batch_id=batch_id, force=True)
    assert len(tabs.service.running()) == 1


async def _send_invalid(tabs: Tabs, state: type[rx.State], handler: str, **payload: Any) -> None:
    with pytest.raises(TypeError):
        await tabs.send("tab", state, handler, **payload)


async def test_invalid_arguments_on_batch_page_have_no_effect(tabs: Tabs, batch_id: str) -> None:
    before = tabs.service.batches()
    await tabs.open("tab", batch_id)
    for junk in JUNK:
        await tabs.send("tab", BatchState, "show_range", minutes=junk)
        await tabs.send("tab", BatchState, "pause", paused=junk)
        await tabs.send("tab", BatchState, "filter_log", only_errors=junk)
    assert tabs.errors == []
    assert tabs.service.batches() == before
