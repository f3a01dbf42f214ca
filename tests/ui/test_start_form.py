"""The form that starts a batch: conversion of its fields, and errors next to them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from solo_app.batches.models import Labels, RestartPolicy
from solo_app.batches.source import DeclaredSource, Parameters, SourceKind
from solo_app.config import Settings
from solo_app.sources import create_sources
from solo_app.ui.components.start_form import start_form
from solo_app.ui.source_fields import source_fields
from solo_app.ui.state.home import HomeState
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import Source, parameterized_kind, wait_until
from tests.ui.tabs import Tabs, open_tabs

pytestmark = pytest.mark.anyio


class Reader(Parameters):
    url: str = Field(pattern="^http:")
    every: float = Field(5, ge=1, le=60)
    verify: bool = True
    headers: dict[str, str] = Field({})


BUILT_IN = create_sources(Settings.model_construct(interval=1))
READER = parameterized_kind("reader", Reader)
BOILER = DeclaredSource("boiler", "Reads.", Parameters, READER.read, kind="reader")


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    return {**BUILT_IN, "reader": READER, "boiler": BOILER}


def form(batch_id: str, source: str = "reader", **fields: str) -> dict[str, str]:
    """Return the fields of the form; those of parameters are named ``parameters_x`` here."""
    names = {name.replace("parameters_", "parameters."): text for name, text in fields.items()}
    return {"batch_id": batch_id, "source": source, "filled": "", "restart": "on-failure", **names}


async def submit(tabs: Tabs, fields: dict[str, str]) -> Any:
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "start", form=fields)
    return await tabs.state("tab", HomeState)


async def test_fields_are_converted_to_the_types_of_parameters(tabs: Tabs, batch_id: str) -> None:
    state = await submit(
        tabs,
        form(
            batch_id,
            parameters_url=" http://a ",
            parameters_every="2.5",
            parameters_verify="false",
            parameters_headers='{"a": "b"}',
            restart="never",
            unit="°C",
            description="Kiln door",
        ),
    )
    batch = tabs.service.batch(batch_id)
    assert batch.run.parameters == {
        "url": "http://a",
        "every": 2.5,
        "verify": False,
        "headers": {"a": "b"},
    }
    assert batch.run.restart is RestartPolicy.NEVER
    assert batch.labels == Labels("°C", "Kiln door")
    assert (state.error, state.field_errors) == ("", {})


async def test_empty_fields_and_defaults_are_omitted(tabs: Tabs, batch_id: str) -> None:
    fields = form(batch_id, parameters_url="http://a", parameters_every="5", parameters_verify="")
    await submit(tabs, fields)
    assert tabs.service.batch(batch_id).run.parameters == {"url": "http://a"}


async def test_untouched_form_specifies_no_parameters(tabs: Tabs, batch_id: str) -> None:
    await submit(tabs, form(batch_id, "random", parameters_low="0", restart="never"))
    run = tabs.service.batch(batch_id).run
    assert (run.source, run.parameters, run.restart) == ("random", {}, RestartPolicy.NEVER)


async def test_each_invalid_field_has_its_error(tabs: Tabs, batch_id: str) -> None:
    before = tabs.service.batches()
    fields = form(batch_id, parameters_every="soon", parameters_url="ftp:")
    state = await submit(tabs, fields)
    assert set(state.field_errors) == {"parameters.url", "parameters.every"}
    assert "number" in state.field_errors["parameters.every"]
    assert state.error == ""
    assert '"reader-url"' in tabs.sent_events("tab")  # The first field is focused.
    assert "reset" not in tabs.sent_events("tab")
    assert tabs.service.batches() == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "parameters.url"),
        ({"parameters_url": "http://a", "parameters_every": "61"}, "parameters.every"),
        ({"parameters_url": "http://a", "parameters_every": "nan"}, "parameters.every"),
        ({"parameters_url": "http://a", "parameters_every": "9" * 5000}, "parameters.every"),
        ({"parameters_url": "http://a", "unit": "x" * 17}, "unit"),
        ({"parameters_url": "http://a", "description": "x" * 201}, "description"),
        ({"source": "missing"}, "source"),
    ],
)
async def test_error_is_next_to_its_field(
    tabs: Tabs, batch_id: str, fields: dict[str, str], field: str
) -> None:
    state = await submit(tabs, {**form(batch_id), **form(batch_id, **fields)})
    assert list(state.field_errors) == [field]
    assert not tabs.service.running()


@pytest.mark.parametrize("kind", BUILT_IN.values(), ids=BUILT_IN)
async def test_invalid_value_of_each_parameter_has_its_error(
    tabs: Tabs, batch_id: str, kind: SourceKind
) -> None:
    for field in source_fields(kind):
        if field.is_checkbox:
            continue  # Every other value than `true` is false.
        name = f"parameters.{field.name}"
        state = await submit(tabs, {**form(batch_id, kind.name), name: "#?"})
        assert name in state.field_errors
    assert not tabs.service.running()


async def test_error_disappears_when_its_field_is_edited(tabs: Tabs, batch_id: str) -> None:
    state = await submit(tabs, form(batch_id, parameters_every="soon"))
    await tabs.send("tab", HomeState, "clear_field_error", field="parameters.every")
    assert list(state.field_errors) == ["parameters.url"]
    await tabs.send("tab", HomeState, "choose_source", source="random")
    assert state.field_errors == {}


async def test_error_without_a_field_is_shown_with_the_name(tabs: Tabs, batch_id: str) -> None:
    state = await submit(tabs, form(batch_id, "random", parameters_low="9", parameters_high="1"))
    assert list(state.field_errors) == ["parameters.high"]
    await tabs.service.start(batch_id, "reader", {"url": "http://a"})
    state = await submit(tabs, form(batch_id, parameters_url="http://a"))
    assert state.error == f"{batch_id} is already running."
    assert state.field_errors == {}


async def test_known_name_fills_in_its_latest_configuration(tabs: Tabs, batch_id: str) -> None:
    parameters = {"url": "http://a/'\"</script>", "every": 7.5, "verify": False}
    await tabs.service.start(batch_id, "reader", parameters, RestartPolicy.NEVER, "bar")
    await tabs.service.stop(batch_id)
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "load_configuration", name=f" {batch_id} ")
    state = await tabs.state("tab", HomeState)
    assert (state.known_batch, state.known_rows) == (batch_id, 0)
    assert (state.filled, state.source) == (batch_id, "reader")
    script = tabs.events["tab"][-1].payload["javascript_code"]
    for text in ('"unit": "bar"', '"restart": "never"', '"reader-every": "7.5"', '"false"'):
        assert text in script


async def test_unknown_or_running_name_fills_in_nothing(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id, "reader", {"url": "http://a"})
    await tabs.open("tab")
    for name in (batch_id, "never"):
        await tabs.send("tab", HomeState, "load_configuration", name=name)
        state = await tabs.state("tab", HomeState)
        assert (state.known_batch, state.filled, state.source) == ("", "", "random")


async def test_known_name_does_not_replace_a_chosen_source(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id, "random", unit="bar")
    await tabs.service.stop(batch_id)
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "choose_source", source="reader")
    await tabs.send("tab", HomeState, "load_configuration", name=batch_id)
    state = await tabs.state("tab", HomeState)
    assert (state.known_batch, state.filled, state.source) == (batch_id, "", "reader")


async def test_known_name_submitted_at_once_has_its_configuration(
    tabs: Tabs, batch_id: str
) -> None:
    """The viewer submits before the configuration is filled in."""
    parameters = {"url": "http://a"}
    await tabs.service.start(batch_id, "reader", parameters, RestartPolicy.NEVER, "bar")
    await tabs.service.stop(batch_id)
    await submit(tabs, form(batch_id, "random", restart="never"))
    batch = tabs.service.batch(batch_id)
    assert (batch.run.number, batch.run.source, batch.run.parameters) == (2, "reader", parameters)
    assert batch.run.restart is RestartPolicy.NEVER
    assert batch.labels.unit == "bar"


async def test_filled_in_configuration_can_be_changed(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id, "reader", {"url": "http://a"}, unit="bar")
    await tabs.service.stop(batch_id)
    await submit(tabs, form(batch_id, "random", filled=batch_id, unit="", restart="never"))
    batch = tabs.service.batch(batch_id)
    assert (batch.run.source, batch.labels.unit) == ("random", "")


async def test_chosen_default_replaces_the_latest_source(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id, "reader", {"url": "http://a"})
    await tabs.service.stop(batch_id)
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "choose_source", source="random")
    await tabs.send("tab", HomeState, "start", form=form(batch_id, "random", restart="never"))
    assert tabs.service.batch(batch_id).run.source == "random"


async def test_folding_cancels_the_choice_of_a_source(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id, "reader", {"url": "http://a"})
    await tabs.service.stop(batch_id)
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "choose_source", source="reader")
    await tabs.send("tab", HomeState, "fold")
    state = await tabs.state("tab", HomeState)
    assert state.source == "random"
    await tabs.send("tab", HomeState, "load_configuration", name=batch_id)
    assert (state.source, state.filled) == ("reader", batch_id)


async def test_folding_a_filled_in_configuration_chooses_the_default(
    tabs: Tabs, batch_id: str
) -> None:
    await tabs.service.start(batch_id, "reader", {"url": "http://a"})
    await tabs.service.stop(batch_id)
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "load_configuration", name=batch_id)
    await tabs.send("tab", HomeState, "fold")
    state = await tabs.state("tab", HomeState)
    assert (state.source, state.is_source_chosen) == ("random", True)


async def test_start_resets_the_form(tabs: Tabs, batch_id: str) -> None:
    await tabs.open("tab")
    state = await tabs.state("tab", HomeState)
    await tabs.send("tab", HomeState, "choose_source", source="reader")
    assert state.source == "reader"
    fields = form(batch_id, parameters_url="http://a")
    await tabs.send("tab", HomeState, "start", form=fields)
    assert state.source == "random"
    assert "reset()" in tabs.sent_events("tab")


def test_kinds_of_other_packages_have_their_own_group() -> None:
    random = {"random": BUILT_IN["random"]}
    assert "Third party" not in str(start_form(random))
    assert "Third party" in str(start_form({**random, "reader": READER}))


def test_declared_sources_have_their_own_group_and_no_fields() -> None:
    shown = str(start_form({"random": BUILT_IN["random"], "boiler": BOILER}))
    assert "Declared in solo.toml" in shown
    assert "Reads. Its parameters are set in solo.toml." in shown
    assert "Third party" not in shown
    assert "Parameters of boiler" not in shown


def test_options_of_source_kinds_have_their_description() -> None:
    assert "A number in an HTTP response" in str(start_form(BUILT_IN))


async def test_declared_source_is_started_by_its_name(tabs: Tabs, batch_id: str) -> None:
    await submit(tabs, form(batch_id, "boiler", restart="never", unit="bar"))
    batch = tabs.service.batch(batch_id)
    assert (batch.run.source, batch.run.parameters) == ("boiler", {})
    assert (batch.run.restart, batch.labels.unit) == (RestartPolicy.NEVER, "bar")


@pytest.mark.parametrize("source", ["boiler", "random"])
async def test_choosing_a_source_selects_its_restart_policy(tabs: Tabs, source: str) -> None:
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "choose_source", source=source)
    restart = tabs.service.sources[source].restart
    assert f'"restart": "{restart}"' in tabs.events["tab"][-1].payload["javascript_code"]


@pytest.mark.parametrize("restores", [True, False], ids=["shown", "not-shown"])
async def test_form_reports_that_its_source_was_removed(
    tabs: Tabs, batch_id: str, restores: bool
) -> None:
    """The app was restarted with another solo.toml while the page was open."""
    await tabs.open("tab")
    state = await tabs.state("tab", HomeState)
    if restores:
        await tabs.send("tab", HomeState, "restore_source", source="furnace")
    else:
        await tabs.send("tab", HomeState, "start", form=form(batch_id, "furnace"))
    assert list(state.field_errors) == ["source"]
    assert state.field_errors["source"].startswith('Unknown source "furnace". Available: boiler,')
    await tabs.send("tab", HomeState, "choose_source", source="boiler")
    assert (state.source, state.field_errors) == ("boiler", {})


async def test_source_that_an_old_page_does_not_have_is_kept(tabs: Tabs, batch_id: str) -> None:
    """The select of the page has no option for the source, and the form no value."""
    await tabs.service.start(batch_id, "boiler", unit="bar")
    await tabs.service.stop(batch_id)
    await submit(tabs, form(batch_id, "", filled=batch_id, unit="mbar"))
    batch = tabs.service.batch(batch_id)
    assert (batch.run.number, batch.run.source, batch.labels.unit) == (2, "boiler", "mbar")


async def test_page_is_empty_until_the_first_batch_exists() -> None:
    async with open_tabs(MemoryStorage()) as tabs:
        state = await tabs.open_home_page("tab")
        assert state.is_empty
        await tabs.send("tab", HomeState, "wait_for_first_point")
        assert state.is_waiting
        await tabs.service.start("kiln")
        await wait_until(lambda: not state.is_empty)
        assert state.slots[0]["batch_id"] == "kiln"
