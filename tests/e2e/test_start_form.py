"""The source of a new batch and its parameters in the form, and the first batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.actions import open_page, start, stop, wait_until
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp, http

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")


def name_field(page: Page) -> Locator:
    return page.get_by_label("Name", exact=True)


def source_field(page: Page) -> Locator:
    return page.get_by_label("Source", exact=True)


def run(app: RunningApp, batch_id: str) -> dict[str, Any]:
    """Return the latest run of a batch."""
    response = http.get(f"{app.api}/batches/{batch_id}").raise_for_status()
    return dict(response.json()["runs"][0])


def test_chosen_source_shows_its_fields_until_escape(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    url = page.get_by_label("URL")
    expect(url).to_be_hidden()
    source_field(page).focus()
    source_field(page).select_option("http")
    expect(url).to_be_visible()
    page.keyboard.press("Tab")
    expect(url).to_be_focused()
    page.keyboard.type("http://localhost/kept")
    page.keyboard.press("Escape")
    expect(url).to_be_hidden()
    expect(source_field(page)).to_have_value("random")
    expect(source_field(page)).to_be_focused()
    source_field(page).select_option("http")
    expect(url).to_have_value("http://localhost/kept")


def test_errors_are_next_to_their_fields_and_input_is_kept(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    source_field(page).select_option("http")
    name_field(page).fill("boiler")
    pointer, interval = (
        page.get_by_role("textbox", name="JSON Pointer"),
        page.locator("#http-interval"),
    )
    pointer.fill("temperature")
    interval.fill("soon")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_count(3)
    expect(page.get_by_label("URL")).to_be_focused()
    for field, error in ((pointer, "JSON Pointer"), (interval, "number")):
        expect(field).to_have_attribute("aria-invalid", "true")
        help_id = field.get_attribute("aria-describedby")
        expect(page.locator(f"#{help_id}").get_by_role("alert")).to_contain_text(error)
    expect(pointer).to_have_value("temperature")
    expect(name_field(page)).to_have_value("boiler")
    interval.fill("5")
    expect(interval).to_have_attribute("aria-invalid", "false")
    expect(page.get_by_role("alert")).to_have_count(2)


def test_error_in_closed_details_opens_them(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    name_field(page).fill("hidden-error")
    more, low = page.get_by_text("More", exact=True), page.get_by_label("Low")
    more.click()
    low.fill("101")
    more.click()
    expect(low).to_be_hidden()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_label("High")).to_be_focused()
    expect(page.get_by_role("alert")).to_have_text("Must not be below `low`")


def test_parameters_and_labels_reach_the_batch(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    page.get_by_text("More", exact=True).click()
    name_field(page).fill("labelled")
    for label, text in (("Low", "7"), ("High", "7"), ("Unit", "bar"), ("Description", "Valve")):
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Start", exact=True).click()
    slot = page.locator("a.slot", has_text="labelled")
    expect(slot).to_contain_text("7")
    parameters = run(app, "labelled")["parameters"]
    assert (parameters["low"], parameters["high"]) == (7, 7)
    batch = http.get(f"{app.api}/batches/labelled").json()
    assert (batch["unit"], batch["description"]) == ("bar", "Valve")
    expect(page.get_by_label("Unit")).to_have_value("")


def test_known_name_fills_in_its_latest_configuration(page: Page, app: RunningApp) -> None:
    body = {"source": "host", "parameters": {"interval": 2.5}, "restart": "never", "unit": "%"}
    http.post(f"{app.api}/stream/known", json=body).raise_for_status()
    stop(app, "known")
    open_page(page, app, "/")
    name_field(page).press_sequentially("known")
    expect(page.get_by_text("Its last configuration is filled in.")).to_be_visible()
    expect(source_field(page)).to_have_value("host")
    expect(page.locator("#host-interval")).to_have_value("2.5")
    page.get_by_text("More", exact=True).click()
    expect(page.get_by_label("Unit")).to_have_value("%")
    expect(page.get_by_label("Restart")).to_have_value("never")
    page.locator("#host-interval").fill("3")
    page.keyboard.press("Enter")
    wait_until(lambda: run(app, "known")["parameters"]["interval"] == 3)
    expect(source_field(page)).to_have_value("random")


def test_known_name_submitted_at_once_starts_its_source(page: Page, app: RunningApp) -> None:
    http.post(f"{app.api}/stream/quick", json={"source": "host"}).raise_for_status()
    stop(app, "quick")
    open_page(page, app, "/")
    name_field(page).fill("quick")
    page.keyboard.press("Enter")
    wait_until(lambda: run(app, "quick")["status"] == "running")
    assert run(app, "quick")["source"] == "host"


def test_slots_keep_their_places(page: Page, app: RunningApp) -> None:
    for batch_id in ("left", "middle", "right"):
        start(app, batch_id)
    open_page(page, app, "/")
    places = [page.locator("a.slot", has_text=name).bounding_box() for name in ("middle", "right")]
    stop(app, "left")
    expect(page.locator("a.slot")).to_have_count(2)
    after = [page.locator("a.slot", has_text=name).bounding_box() for name in ("middle", "right")]
    assert after == places
    assert page.locator(".slots .free:visible").count() == 1


@in_both_modes
def test_command_for_the_first_number_has_the_correct_url(
    empty_app: RunningApp, page: Page
) -> None:
    app = empty_app
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, app, "/")
    expect(page.get_by_label("Search batches")).to_have_count(0)
    command = page.get_by_text("curl -d 21.5")
    expect(command).to_have_text(f"curl -d 21.5 {app.api}/batches/kiln/points")
    page.get_by_role("button", name="Copy").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Waiting for the first point of kiln…")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == command.inner_text()
    http.post(command.inner_text().split()[-1], content="21.5").raise_for_status()
    slot = page.locator("a.slot", has_text="kiln")
    expect(slot).to_contain_text("21.5")
    expect(slot).to_be_focused()
    expect(page.get_by_label("Search batches")).to_be_visible()


def test_command_can_be_selected_without_a_clipboard(empty_app: RunningApp, page: Page) -> None:
    """Browsers have no clipboard on pages of insecure origins."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    open_page(page, empty_app, "/")
    page.get_by_text("curl -d 21.5").click()
    assert page.evaluate("String(getSelection())").startswith("curl -d 21.5 http")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)


def test_cpu_is_monitored_with_one_click(empty_app: RunningApp, page: Page) -> None:
    open_page(page, empty_app, "/")
    page.get_by_role("button", name="Start cpu").click()
    expect(page.locator("a.slot", has_text="cpu")).to_be_focused()
    empty_app.wait_for_points(1)
    assert run(empty_app, "cpu")["source"] == "host"


def test_first_batch_can_read_a_url(empty_app: RunningApp, page: Page) -> None:
    app = empty_app
    open_page(page, app, "/")
    page.get_by_role("button", name="Enter a URL").click()
    expect(name_field(page)).to_be_focused()
    page.keyboard.type("rows")
    page.get_by_label("URL").fill(f"{app.api}/batches")
    page.get_by_role("textbox", name="JSON Pointer").fill("/total")
    page.keyboard.press("Enter")
    expect(page.locator("a.slot", has_text="rows")).to_contain_text("1")
    assert run(app, "rows")["source"] == "http"
