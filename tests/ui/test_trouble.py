"""What goes wrong with the disk is told on every page, and for as long as it does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from solo_app.batches.retention import Retention
from solo_app.ui.components.frame import banners
from solo_app.ui.states.batch import BatchState
from solo_app.ui.states.home import HomeState
from tests.ui.tabs import Tabs, open_tabs
from tests.workbench import silent

pytestmark = pytest.mark.anyio


async def test_both_pages_tell_why_points_wait_and_why_old_ones_are_not_archived(
    tmp_path: Path,
) -> None:
    async with open_tabs(tmp_path / "solo.duckdb", silent=silent) as tabs:
        service = tabs.service
        service.retention = Retention(service._store, timedelta(days=1), service.clock)
        await service.start("b", "silent")
        pages: list[tuple[str, Any]] = [("home", HomeState), ("batch", BatchState)]
        for tab, state in pages:
            await tabs.open(tab, "b")
            await tabs.look(tab, state)
        for wrong in (True, False):
            service.retention.trouble = "no folder" if wrong else None
            service._ingest.trouble = "no room" if wrong else None
            told = ("no room", "no folder") if wrong else ("", "")
            for tab, state in pages:
                async with asyncio.timeout(5):
                    while (await _troubles(tabs, tab, state)) != told:
                        await tabs.ticks()


async def _troubles(tabs: Tabs, tab: str, state: Any) -> tuple[str, str]:
    shown = await tabs.state(tab, state)
    return shown.trouble, shown.unarchived


@pytest.mark.parametrize("state", [HomeState, BatchState])
def test_the_line_is_on_the_page(state: type) -> None:
    line = str(banners(state))
    assert "trouble" in line
    assert "unarchived" in line
