"""Sources that are declared in ``solo.toml``, on the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page, start
from tests.e2e.test_axe import expect_no_violations
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("declared")

SECRET = "s3cret"
BOILER = """
[sources.boiler]
kind = "random"
interval = 0.1
low = 4711
high = 4711
"""
METER = f"""
[sources.meter]
kind = "http"
url = "http://127.0.0.1:9/{SECRET}"
pointer = "/{SECRET}"
"""


@pytest.fixture(scope="module")
def module_app(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("declared")
    config = folder / "solo.toml"
    config.write_text(BOILER + METER)
    settings = {"SOLO_CONFIG": str(config)}
    app = RunningApp(project_in("declared"), folder / "solo.duckdb", "prod", settings)
    try:
        yield app.start()
    finally:
        app.stop()


@pytest.fixture
def declaring_app(module_app: RunningApp) -> Iterator[RunningApp]:
    """An app with the sources ``boiler`` and ``meter``, without running batches."""
    config = Path(module_app.settings["SOLO_CONFIG"])
    if config.read_text() != BOILER + METER:  # A test has changed it.
        config.write_text(BOILER + METER)
        module_app.restart()
    yield module_app
    module_app.stop_batches()


def choose(page: Page, batch_id: str, source: str) -> None:
    page.get_by_label("Name", exact=True).fill(batch_id)
    page.get_by_label("Source", exact=True).select_option(source)


@pytest.mark.usefixtures("expect_no_page_errors")
def test_declared_sources_are_started_by_name(declaring_app: RunningApp, page: Page) -> None:
    responses: list[str] = []
    page.on("websocket", lambda it: it.on("framereceived", lambda m: responses.append(str(m))))
    open_page(page, declaring_app, "/")
    choose(page, "a", "boiler")
    options = page.locator("optgroup[label='Declared in solo.toml'] option")
    expect(options).to_have_text(["boiler", "meter"])
    expect(page.get_by_text("Random integers. Its parameters are set in")).to_be_visible()
    expect(page.locator("#restart")).to_have_value("never")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("a.slot")).to_contain_text("4,711")
    choose(page, "b", "meter")
    expect(page.locator("#restart")).to_have_value("on-failure")
    page.get_by_role("button", name="Start", exact=True).click()
    retrying = page.locator(".batches tr", has_text="b").locator(".pill.retrying")
    expect(retrying).to_have_text("Retrying")
    expect(page.locator("a.slot", has_text="b").locator(".pill")).to_have_text("Retrying")
    page.locator("a.slot", has_text="b").click()
    card = page.locator(".source-card")
    expect(card).to_contain_text("KindhttpParametersSet in solo.toml")
    expect(page.locator(".reason").first).to_contain_text("Cannot connect")
    assert SECRET not in page.content()
    assert SECRET not in "".join(responses)
    assert SECRET not in declaring_app.output()


def test_no_violations_with_declared_sources(declaring_app: RunningApp, page: Page) -> None:
    start(declaring_app, "axe-meter", source="meter")
    open_page(page, declaring_app, "/")
    choose(page, "axe-boiler", "boiler")
    page.get_by_text("Its parameters are set in solo.toml").wait_for()
    page.locator(".slot .pill.retrying").wait_for()
    expect_no_violations(page)
    open_page(page, declaring_app, "/batch/axe-meter")
    page.get_by_text("Set in solo.toml").wait_for()
    expect_no_violations(page)


def test_open_page_reports_a_removed_source(declaring_app: RunningApp, page: Page) -> None:
    start(declaring_app, "known", source="meter")
    open_page(page, declaring_app, "/")
    choose(page, "kept", "meter")
    expect(page.get_by_text("A number in an HTTP response. Its parameters")).to_be_visible()
    config = Path(declaring_app.settings["SOLO_CONFIG"])
    config.write_text(BOILER)
    declaring_app.restart()
    expect(page.get_by_role("alert")).to_contain_text('Unknown source "meter". Available: boiler,')
    expect(page.get_by_label("Name", exact=True)).to_have_value("kept")
    page.get_by_label("Source", exact=True).select_option("boiler")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("a.slot")).to_contain_text("4,711")
    page.get_by_role("button", name="Start again: known").click()
    expect(page.get_by_text('Unknown source "meter".')).to_be_visible()
    open_page(page, declaring_app, "/batch/known")
    expect(page.locator(".source-card code")).to_have_text("meter")
