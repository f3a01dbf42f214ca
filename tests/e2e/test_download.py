"""The download on the page of a batch: the saved file holds what the API tells."""

from __future__ import annotations

import csv
import json
import re
import time
from datetime import UTC
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.e2e.modes import in_both_modes
from tests.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Download, Locator, Page

Row = tuple[int, str, float]


@pytest.fixture
def app(mode: str, request: pytest.FixtureRequest) -> RunningApp:
    """The app with the ended batch ``b``."""
    found: RunningApp = request.getfixturevalue(f"{mode}_app")
    found.free_slots()
    if http.get(f"{found.api}/batches/b").status_code == 404:
        http.post(f"{found.api}/stream/b")
        while http.get(f"{found.api}/batches/b").json()["row_count"] < 8:
            time.sleep(0.05)
        http.delete(f"{found.api}/stream/b")
    return found


def told(app: RunningApp) -> list[Row]:
    points = http.get(f"{app.api}/batches/b/points?limit=10000").json()["points"]
    return [(p["seq"], p["ts"], p["data"]["key"]) for p in points]


def read(download: Download) -> list[Row]:
    path = download.path()
    kind = download.suggested_filename.rpartition(".")[2]
    if kind == "csv":
        rows = csv.DictReader(path.read_text().splitlines())
        return [(int(row["seq"]), row["ts"], float(row["key"])) for row in rows]
    if kind == "json":
        return [(p["seq"], p["ts"], p["data"]["key"]) for p in json.loads(path.read_text())]
    with duckdb.connect() as connection:
        found = connection.from_parquet(str(path)).fetchall()
    return [
        (seq, f"{ts.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", key)  # A session may be in any zone.
        for seq, ts, key in found
    ]


def live_at(page: Page, address: str) -> None:
    """Open a page and wait until it answers; a click on one that does not yet is lost."""
    page.goto(address)
    page.locator(".live.now").wait_for()


def menu_on(page: Page, address: str) -> Locator:
    live_at(page, address)
    page.locator("summary", has_text="Download").click()
    return page.locator("details.download")


def saved(page: Page, menu: Locator) -> Download:
    with page.expect_download() as caught:
        menu.get_by_role("button", name="Download").click()
    return caught.value


@in_both_modes
def test_each_format_is_saved_whole(app: RunningApp, page: Page) -> None:
    for host in ("localhost", "127.0.0.1"):
        menu = menu_on(page, f"{app.url.replace('localhost', host)}/batch/b")
        for word in ("CSV", "Parquet", "JSON"):
            menu.get_by_label(word, exact=True).check()
            download = saved(page, menu)
            assert download.suggested_filename.startswith("b-2")
            assert read(download) == told(app)
            menu.get_by_text(f"Saved {download.suggested_filename}").wait_for()


def test_the_last_minutes_of_an_ended_batch_are_those_before_its_end(
    app: RunningApp, own_page: Page
) -> None:
    own_page.clock.install()
    own_page.clock.fast_forward("30:00:00")  # The batch ended more than a day ago.
    menu = menu_on(own_page, f"{app.url}/batch/b")
    menu.get_by_label("Time").select_option("Last 15 min")
    assert read(saved(own_page, menu)) == told(app)


def test_the_points_between_two_times_are_those_the_person_names(
    app: RunningApp, page: Page
) -> None:
    http.post(f"{app.api}/stream/b")
    while len(told(app)) < 20 or told(app)[-1][1][:19] == told(app)[-8][1][:19]:
        time.sleep(0.05)
    http.delete(f"{app.api}/stream/b")
    last_second = told(app)[-1][1][:19]
    shown = page.evaluate(
        "utc => { const t = new Date(utc + 'Z'); t.setMinutes(t.getMinutes() -"
        " t.getTimezoneOffset()); return t.toISOString().slice(0, 19); }",
        last_second,
    )
    menu = menu_on(page, f"{app.url}/batch/b")
    menu.get_by_label("To, not included").wait_for(state="hidden")
    menu.get_by_label("Time").select_option("Between two times")
    menu.get_by_label("To, not included").fill(shown)
    before = [row for row in told(app) if row[1] < last_second]
    assert before
    assert read(saved(page, menu)) == before
    menu.get_by_label("To, not included").fill("")
    menu.get_by_label("From").fill(shown)
    assert read(saved(page, menu)) == [row for row in told(app) if row[1] >= last_second]


def test_half_a_time_is_told_and_nothing_is_downloaded(app: RunningApp, page: Page) -> None:
    menu = menu_on(page, f"{app.url}/batch/b")
    menu.get_by_label("Time").select_option("Between two times")
    menu.get_by_label("From").press_sequentially("0102")
    downloads: list[str] = []
    page.on("request", lambda request: downloads.append(request.url))
    menu.get_by_role("button", name="Download").click()
    menu.get_by_role("alert").filter(has_text=re.compile("enter a valid value", re.I)).wait_for()
    assert not [url for url in downloads if "/download" in url]


_NOTHING_AFTER = """
menu => {
  const after = Node.DOCUMENT_POSITION_FOLLOWING;
  for (const other of document.querySelectorAll("a, button, input, select, summary, [tabindex]"))
    if (menu.compareDocumentPosition(other) === after) other.tabIndex = -1;
}
"""


def test_the_menu_closes_when_the_focus_goes_on(app: RunningApp, page: Page) -> None:
    menu = menu_on(page, f"{app.url}/batch/b")
    panel = menu.locator(".panel")
    menu.locator("summary").focus()
    page.keyboard.press("Shift+Tab")
    panel.wait_for(state="hidden")
    menu.locator("summary").click()
    panel.wait_for()
    menu.evaluate(_NOTHING_AFTER)
    menu.get_by_role("button", name="Download").focus()
    page.keyboard.press("Tab")
    panel.wait_for(state="hidden")
    assert page.evaluate("document.activeElement === document.body")  # Out of the page.


def test_the_menu_keeps_the_keys_when_its_words_are_pressed(app: RunningApp, page: Page) -> None:
    menu = menu_on(page, f"{app.url}/batch/b")
    panel = menu.locator(".panel")
    menu.locator("legend").click()
    panel.wait_for()
    page.keyboard.press("Escape")
    panel.wait_for(state="hidden")


def test_the_menu_is_worked_with_the_keyboard(app: RunningApp, page: Page) -> None:
    live_at(page, f"{app.url}/batch/b")
    summary = page.locator("summary", has_text="Download")
    panel = page.locator("details.download .panel")
    summary.focus()
    page.keyboard.press("Enter")
    panel.wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("input[name=download-format]:checked").get_attribute("value") == "parquet"
    page.keyboard.press("Escape")
    panel.wait_for(state="hidden")
    assert summary.evaluate("it => it === document.activeElement")
    summary.click()
    panel.wait_for()
    page.locator("h1").click()
    panel.wait_for(state="hidden")


def test_a_server_that_is_away_is_told_beside_the_button(app: RunningApp, page: Page) -> None:
    menu = menu_on(page, f"{app.url}/batch/b")
    page.route("**/download?*", lambda route: route.abort())
    menu.get_by_role("button", name="Download").click()
    menu.get_by_role("alert").filter(has_text="Nothing was saved").wait_for()
    page.unroute("**/download?*")
    assert read(saved(page, menu)) == told(app)
    assert menu.get_by_role("alert").inner_text() == ""


def test_a_refusal_is_told_in_the_servers_words(app: RunningApp, page: Page) -> None:
    menu = menu_on(page, f"{app.url}/batch/b")
    problem = {"detail": "The file was not made: no space."}
    page.route("**/download?*", lambda route: route.fulfill(status=503, json=problem))
    menu.get_by_role("button", name="Download").click()
    menu.get_by_text("The file was not made: no space.").wait_for()


SLOW_ANSWER = """
() => { window.fetch = async (_, { signal }) => new Response(
  new ReadableStream({
    start: (out) => signal.addEventListener("abort", () => out.error(signal.reason)),
    async pull(out) {
      await new Promise((go) => setTimeout(go, 100));
      if (!signal.aborted) out.enqueue(new Uint8Array(1e6));
    },
  }), { headers: { "Content-Disposition": 'attachment; filename="b.csv"' } }); }
"""


def test_a_slow_download_tells_how_far_it_is_and_can_be_cancelled(
    app: RunningApp, page: Page
) -> None:
    menu = menu_on(page, f"{app.url}/batch/b")
    page.evaluate(SLOW_ANSWER)
    menu.get_by_role("button", name="Download").click()
    progress = menu.get_by_role("status")
    progress.get_by_text("MB").wait_for()
    first = progress.inner_text()
    page.wait_for_function(
        "first => document.querySelector('.download [role=status]').textContent !== first",
        arg=first,
    )
    assert float(progress.inner_text().split()[0]) > float(first.split()[0])
    menu.get_by_role("button", name="Cancel").click()
    menu.get_by_role("button", name="Download").wait_for()
    assert (progress.inner_text(), menu.get_by_role("alert").inner_text()) == ("", "")
