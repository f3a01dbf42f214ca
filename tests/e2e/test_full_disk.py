"""A stop that fails because points cannot be written shows the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page, running_tasks, start
from tests.helpers.running_app import RunningApp
from tests.helpers.small_disk import SmallDisk

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

REASON = "No space left on the disk"


def test_stop_shows_why_points_cannot_be_written(
    new_app: Callable[..., RunningApp], small_disk: Callable[[int], SmallDisk], page: Page
) -> None:
    disk = small_disk(32)
    app = new_app("prod", disk.path / "solo.duckdb").start()
    for batch_id in ("first", "second"):
        start(app, batch_id)
    open_page(page, app, "/batch/first")
    with disk.filled_up_to(0):
        expect(page.locator(".banner.error")).to_contain_text(REASON)
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator(".page-header [role=alert]")).to_contain_text(REASON)
        expect(page).to_have_url(f"{app.url}/batch/first")
        open_page(page, app, "/")
        expect(page.locator(".banner.error")).to_contain_text(REASON)
        page.get_by_role("button", name="Stop: second", exact=True).click()
        toast = page.locator("[data-sonner-toast]")
        expect(toast.filter(has_text=REASON)).to_be_visible()
        assert len(running_tasks(app)) == 2
    expect(page.locator("a.slot")).to_have_count(0)
    expect(page.locator(".banner.error")).to_have_count(0)
