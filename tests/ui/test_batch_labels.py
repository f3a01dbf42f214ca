"""Editing the unit and the description of a batch on its page."""

from __future__ import annotations

from typing import Any

import pytest

from solo_app.ui.state.batch import BatchState
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import silent, wait_until
from tests.ui.tabs import Tabs, open_tabs

pytestmark = pytest.mark.anyio


async def open_editor(tabs: Tabs, batch_id: str, label: str) -> Any:
    await tabs.service.start(batch_id, unit="°C", description="Kiln door")
    page = await tabs.open_batch_page(batch_id, batch_id)
    await tabs.send(batch_id, BatchState, "edit_label", label=label)
    assert page.edited == label
    return page


@pytest.mark.parametrize("label", ["unit", "description"])
async def test_saved_label_replaces_only_the_edited_one(
    tabs: Tabs, batch_id: str, label: str
) -> None:
    page = await open_editor(tabs, batch_id, label)
    before = {"unit": "°C", "description": "Kiln door"}
    await tabs.send(batch_id, BatchState, "save_label", form={label: " new "})
    assert (page.edited, page.closed_editor, page.label_error) == ("", label, "")
    labels = tabs.service.batch(batch_id).labels
    expected = {**before, label: "new"}
    assert {"unit": labels.unit, "description": labels.description} == expected
    assert {"unit": page.unit, "description": page.description} == expected


async def test_invalid_label_is_explained_next_to_its_field(tabs: Tabs, batch_id: str) -> None:
    page = await open_editor(tabs, batch_id, "unit")
    await tabs.send(batch_id, BatchState, "save_label", form={"unit": "x" * 17})
    assert (page.edited, page.label_error) == ("unit", "Must have at most 16 characters")
    assert tabs.service.batch(batch_id).labels.unit == "°C"
    await tabs.send(batch_id, BatchState, "cancel_edit")
    assert (page.edited, page.closed_editor, page.label_error) == ("", "unit", "")


async def test_label_that_cannot_be_stored_stays_in_its_form() -> None:
    storage = MemoryStorage()
    async with open_tabs(storage, silent=silent) as tabs:
        page = await open_editor(tabs, "b", "unit")
        storage.changes.fail("no room")
        await tabs.send("b", BatchState, "save_label", form={"unit": "K"})
        assert (page.edited, page.label_error) == ("unit", "no room")
        storage.changes.open()


async def test_page_of_another_batch_has_no_open_editor(tabs: Tabs, batch_id: str) -> None:
    page = await open_editor(tabs, batch_id, "unit")
    await tabs.service.start(f"{batch_id}-2")
    await tabs.open_batch_page(batch_id, f"{batch_id}-2")
    await wait_until(lambda: page.edited == "")


@pytest.mark.parametrize("junk", [None, [], {}, {"unit": 1}, {"unit": None, "key": "x"}, "unit"])
async def test_invalid_form_changes_nothing(tabs: Tabs, batch_id: str, junk: Any) -> None:
    await open_editor(tabs, batch_id, "unit")
    await tabs.send(batch_id, BatchState, "save_label", form=junk)
    await tabs.send(batch_id, BatchState, "edit_label", label=junk)
    labels = tabs.service.batch(batch_id).labels
    assert (labels.unit, labels.description) == ("°C", "Kiln door")
    assert not tabs.errors
