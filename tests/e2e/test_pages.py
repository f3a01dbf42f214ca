"""The pages in a real browser, on the real app."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.e2e.restart import restart_under
from tests.running_app import RunningApp, http

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

LIVE = 2_000
"""Milliseconds within which a page must show what changed; it should take a quarter of them."""

RULE = "beginning with a letter or digit"
FULL = "5 batches are running already; stop one to start another."


@pytest.fixture
def app(mode: str, request: pytest.FixtureRequest) -> Iterator[RunningApp]:
    """The app, with all slots free."""
    running: RunningApp = request.getfixturevalue(f"{mode}_app")
    stop_all(running)
    yield running
    stop_all(running)


@pytest.fixture(autouse=True)
def clean(page: Page, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does: no error in the page, nothing asked of another host."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    page.on(
        "console", lambda m: _note(problems, m.type == "error", f"console: {m.text} {m.location}")
    )
    page.on("request", lambda r: _note(problems, _foreign(r.url), f"foreign: {r.url}"))
    yield
    if "restart" in request.node.name:
        return  # The browser itself complains of a server that is away.
    if "/" in request.node.name or "nowhere" in request.node.name:
        problems = [text for text in problems if "status of 404" not in text]
    assert problems == []


def _note(problems: list[str], is_one: bool, text: str) -> None:
    if is_one:
        problems.append(text)


def _foreign(url: str) -> bool:
    return not re.match(r"(data:|blob:|(http|ws)://localhost[:/])", url)


def stop_all(app: RunningApp) -> None:
    for task in tasks(app):
        http.delete(f"{app.api}/stream/{task['batch_id']}").raise_for_status()


def start(app: RunningApp, batch_id: str) -> None:
    http.post(f"{app.api}/stream/{batch_id}").raise_for_status()


def tasks(app: RunningApp) -> list[dict[str, object]]:
    answer = http.get(f"{app.api}/tasks").raise_for_status()
    return list(answer.json()["tasks"])


def overall(app: RunningApp) -> dict[str, int]:
    answer = http.get(f"{app.api}/", headers={"Accept": "application/json"}).raise_for_status()
    return dict(answer.json())


def batches(app: RunningApp) -> int:
    return overall(app)["batch_count"]


def rows(app: RunningApp) -> int:
    return overall(app)["row_count"]


def wait_for_ticks(app: RunningApp) -> None:
    """Wait until so many points were made that every page must have been told of some."""
    row_count, deadline = rows(app), time.monotonic() + 30
    while rows(app) < row_count + 8:
        assert time.monotonic() < deadline, "nothing is produced"
        time.sleep(0.05)


def open_page(page: Page, app: RunningApp, path: str) -> None:
    page.goto(f"{app.url}{path}")
    expect(page.locator(".live.now")).to_be_visible(timeout=15_000)


def start_by_form(page: Page, batch_id: str) -> None:
    page.get_by_label("New batch").fill(batch_id)
    page.get_by_role("button", name="Start", exact=True).click()


def seq(page: Page) -> int:
    """The highest seq that a batch's page shows."""
    text = page.locator("td.seq").first.inner_text()
    return int(re.sub(r"\D", "", text))


def expect_to_go_on(page: Page) -> None:
    seen = seq(page)
    page.wait_for_function(
        "seen => Number(document.querySelector('td.seq').innerText.replace(/\\D/g, '')) > seen",
        arg=seen,
        timeout=LIVE,
    )


def test_a_batch_is_started_by_the_form_and_shown_in_a_slot(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    start_by_form(page, "form-a")
    expect(page.locator("a.slot", has_text="form-a")).to_be_visible(timeout=LIVE)
    expect(page.get_by_label("New batch")).to_have_value("")
    expect(page.get_by_text("Started form-a")).to_be_visible()
    expect(page.locator(".stat dd").last).to_have_text("1 of 5")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("form-a")
    expect_to_go_on(page)


def test_enter_starts_too_and_a_free_slot_leads_to_the_field(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    page.get_by_role("button", name="Start a batch").first.click()
    expect(page.get_by_label("New batch")).to_be_focused()
    page.keyboard.type("form-b")
    page.keyboard.press("Enter")
    expect(page.locator("a.slot", has_text="form-b")).to_be_visible(timeout=LIVE)


def test_a_double_click_starts_one_run_and_no_error(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    page.get_by_label("New batch").fill("twice")
    page.get_by_role("button", name="Start", exact=True).dblclick()
    expect(page.locator("a.slot", has_text="twice")).to_be_visible(timeout=LIVE)
    expect(page.get_by_role("alert")).to_have_count(0)
    runs = http.get(f"{app.api}/batches/twice").json()["runs"]
    assert len(runs) == 1


def test_two_names_typed_one_after_the_other_both_start(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    field = page.get_by_label("New batch")
    field.click()
    page.keyboard.type("first-of-two")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("second-of-two")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("and-a-third")
    for name in ("first-of-two", "second-of-two"):
        expect(page.locator(".slot").filter(has_text=name)).to_be_visible()
    expect(field).to_have_value("and-a-third")


def test_an_error_stands_beside_the_field_and_keeps_the_input(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    field = page.get_by_label("New batch")
    start_by_form(page, "not one")
    expect(page.get_by_role("alert")).to_contain_text(RULE)
    expect(field).to_have_value("not one")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    start(app, "taken")
    page.wait_for_timeout(700)  # The button takes no second click for a moment.
    start_by_form(page, "taken")
    expect(page.get_by_role("alert")).to_contain_text("taken is running already.")
    page.get_by_role("link", name="Open it").click()
    expect(page).to_have_url(f"{app.url}/batch/taken")


def test_a_sixth_is_refused_and_told_why(page: Page, app: RunningApp) -> None:
    for i in range(5):
        start(app, f"full-{i}")
    open_page(page, app, "/")
    expect(page.locator("a.slot")).to_have_count(5)
    expect(page.locator(".slot.free")).to_have_count(0)
    start_by_form(page, "sixth")
    expect(page.get_by_role("alert")).to_have_text(FULL)
    expect(page.get_by_label("New batch")).to_have_value("sixth")
    open_page(page, app, "/batch/sixth")
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_role("alert")).to_have_text(FULL)
    assert len(tasks(app)) == 5


def test_values_change_by_themselves_on_both_pages(page: Page, app: RunningApp) -> None:
    start(app, "alive")
    open_page(page, app, "/")
    rows = page.locator(".stat dd").first
    before = rows.inner_text()
    expect(rows).not_to_have_text(before, timeout=LIVE)
    page.locator("td .id", has_text="alive").click()
    expect(page.locator("td.seq").first).to_be_visible()
    expect_to_go_on(page)
    expect(page.locator(".recharts-line path")).to_be_visible()
    expect(page).to_have_title("alive · Running · SOLO")


def newest_points(page: Page) -> list[tuple[int, str, str]]:
    """What the table of newest points shows: seq, time in UTC, number; the latest first."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll("table.points tbody tr")].map((row) => [
            Number(row.querySelector(".seq").innerText.replace(/\\D/g, "")),
            row.querySelector("time").dateTime,
            row.querySelector(".key").innerText,
        ])"""
    )
    return [tuple(row) for row in rows]


def committed_points(app: RunningApp, batch_id: str, last: int, count: int) -> list[object]:
    """The same of the API: the points up to ``last``."""
    query = {"after": last - count, "limit": count}
    answer = http.get(f"{app.api}/batches/{batch_id}/points", params=query).raise_for_status()
    points = reversed(answer.json()["points"])
    return [(p["seq"], f"{p['ts'][:23]}Z", str(p["data"]["key"])) for p in points]


def test_ticks_that_are_lost_on_the_way_leave_no_gap(page: Page, app: RunningApp) -> None:
    start(app, "lossy")
    lost: list[object] = []
    asked: list[object] = []

    def tap(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def from_server(message: str | bytes) -> None:
            is_tick = '"tick_rx_state_"' in str(message) and '"shown_' not in str(message)
            if is_tick and len(lost) < 3:
                lost.append(message)
            else:
                socket.send(message)

        def to_server(message: str | bytes) -> None:
            if "catch_up" in str(message):
                asked.append(message)
            server.send(message)

        server.on_message(from_server)
        socket.on_message(to_server)

    page.route_web_socket(re.compile("_event"), tap)
    open_page(page, app, "/batch/lossy")
    expect(page.locator("table.points tbody tr")).to_have_count(10)
    expect_to_go_on(page)
    assert len(lost) == 3
    assert asked
    shown = newest_points(page)
    assert shown == committed_points(app, "lossy", shown[0][0], 10)


def test_pages_are_entered_left_and_reloaded_without_a_full_load(
    page: Page, app: RunningApp
) -> None:
    start(app, "walk-a")
    start(app, "walk-b")
    open_page(page, app, "/")
    page.evaluate("window.same = true")
    for batch_id in ("walk-a", "walk-b"):
        page.locator("td .id", has_text=batch_id).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(batch_id)
        expect(page.locator("td.seq").first).to_be_visible()
        expect_to_go_on(page)
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Batches")
    page.go_forward()
    expect(page.get_by_role("heading", level=1)).to_have_text("walk-b")
    expect_to_go_on(page)
    assert page.evaluate("window.same")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("walk-b")
    expect(page.locator("td.seq").first).to_be_visible()
    expect_to_go_on(page)
    page.go_back()
    expect(page.locator("a.slot")).to_have_count(2)


def test_stop_returns_to_all_batches_and_can_be_undone(page: Page, app: RunningApp) -> None:
    start(app, "stop-me")
    open_page(page, app, "/batch/stop-me")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page).to_have_url(f"{app.url}/")
    expect(page.get_by_text("Stopped stop-me")).to_be_visible()
    expect(page.locator("tr", has_text="stop-me").locator(".pill:visible")).to_have_text("Stopped")
    assert tasks(app) == []
    page.locator("[data-sonner-toast]").get_by_role("button", name="Start again").click()
    expect(page.locator("a.slot", has_text="stop-me")).to_be_visible(timeout=LIVE)
    assert page.evaluate("window.same")


def test_an_ended_batch_shows_its_history_and_starts_again(page: Page, app: RunningApp) -> None:
    start(app, "history")
    open_page(page, app, "/batch/history")
    expect(page.locator("td.seq").first).to_be_visible()
    http.delete(f"{app.api}/stream/history").raise_for_status()
    expect(page.locator(".standing .pill")).to_have_text("Stopped", timeout=LIVE)
    expect(page.locator("td.seq").first).to_be_visible()
    expect(page.locator(".runs li")).to_have_count(1)
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".standing .pill")).to_have_text("Running", timeout=LIVE)
    expect(page.locator(".runs li")).to_have_count(2)


def test_rows_are_stopped_and_started_from_the_table(page: Page, app: RunningApp) -> None:
    start(app, "row")
    open_page(page, app, "/")
    page.get_by_role("button", name="Stop: row", exact=True).click()
    again = page.get_by_role("button", name="Start again: row", exact=True)
    again.click()
    expect(page.locator("a.slot", has_text="row")).to_be_visible(timeout=LIVE)
    page.get_by_role("button", name="Ended").click()
    expect(again).to_have_count(0)


def test_two_tabs_see_the_same_and_one_may_stop_for_both(page: Page, app: RunningApp) -> None:
    start(app, "shared")
    other = page.context.new_page()
    for tab in (page, other):
        open_page(tab, app, "/batch/shared")
        expect(tab.locator("td.seq").first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page).to_have_url(f"{app.url}/")
    expect(other.locator(".standing .pill")).to_have_text("Stopped", timeout=LIVE)
    expect(other.get_by_role("button", name="Start again")).to_be_visible()


def test_nothing_is_left_behind_when_the_tabs_are_closed(page: Page, app: RunningApp) -> None:
    start(app, "left")
    for path in ("/", "/batch/left", "/batch/unknown"):
        tab = page.context.new_page()
        open_page(tab, app, path)
        tab.reload()
        expect(tab.locator(".live.now")).to_be_visible()
        tab.goto(f"{app.url}/batch/elsewhere")
        expect(tab.locator(".live.now")).to_be_visible()
        tab.go_back()
        expect(tab.locator(".live.now")).to_be_visible()
        tab.close()
    wait_for_ticks(app)
    sent_in_vain = app.output().count("disconnected client")
    wait_for_ticks(app)
    assert app.output().count("disconnected client") == sent_in_vain


def test_an_unknown_batch_is_offered_and_looking_starts_nothing(
    page: Page, app: RunningApp
) -> None:
    before = batches(app)
    open_page(page, app, "/batch/not-yet")
    expect(page.get_by_role("heading", level=1)).to_have_text("There never was such a batch")
    page.reload()
    expect(page.get_by_role("button", name="Start it")).to_be_visible()
    open_page(page, app, "/")
    assert batches(app) == before
    assert tasks(app) == []
    open_page(page, app, "/batch/not-yet")
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible(timeout=LIVE)
    expect(page.locator("td.seq").first).to_be_visible()


@pytest.mark.parametrize("batch_id", ["a.b", "v1.2.js", "x" * 64, "9-_.", "index.html", "404"])
def test_any_id_that_the_rule_allows_has_a_page(page: Page, app: RunningApp, batch_id: str) -> None:
    start(app, batch_id)
    open_page(page, app, f"/batch/{batch_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(batch_id)
    expect(page.locator("td.seq").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "odd", [" ", "a b", "<script>alert(1)</script>", "x" * 65, "'\"", "é☃", ".a", "a/b", "100%"]
)
def test_what_can_be_no_id_is_told_the_rule(page: Page, app: RunningApp, odd: str) -> None:
    open_page(page, app, f"/batch/{quote(odd, safe='')}")
    expect(page.get_by_role("heading", level=1)).to_have_text("No batch can have this name")
    expect(page.get_by_text(RULE)).to_be_visible()
    page.get_by_role("link", name="To all batches").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Batches")


def test_an_address_that_leads_nowhere_leads_back(page: Page, app: RunningApp, mode: str) -> None:
    answer = page.goto(f"{app.url}/nothing/here")
    assert answer is not None
    # The development server gives every address the frame of the pages.
    assert answer.status == (404 if mode == "prod" else 200)
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.get_by_role("link", name="To all batches").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Batches")


def test_an_open_page_outlives_a_restart_of_the_server(
    page: Page, app: RunningApp, mode: str
) -> None:
    start(app, "survivor")
    open_page(page, app, "/batch/survivor")
    expect(page.locator("td.seq").first).to_be_visible()
    with restart_under(page, app):
        expect(page.get_by_text("The server has not answered since")).to_be_visible(timeout=5_000)
    expect(page.locator(".standing .pill")).to_have_text("Interrupted", timeout=LIVE)
    expect(page.get_by_text("The server has not answered since")).to_have_count(0)
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".standing .pill")).to_have_text("Running", timeout=LIVE)
    expect_to_go_on(page)
    assert page.evaluate("window.same") or mode == "dev"


def test_a_restart_takes_the_colours_and_leaves_room_for_a_toast(
    page: Page, app: RunningApp
) -> None:
    start(app, "toasted")
    open_page(page, app, "/")
    page.get_by_role("button", name="Stop: toasted", exact=True).click()
    toast = page.locator("[data-sonner-toast]")
    toast.hover()  # So that it stays.
    app.stop()
    banner = page.locator("p.note.away")
    expect(banner).to_be_visible(timeout=5_000)
    toast.hover()
    main = page.locator("main")
    expect(main).to_have_css("filter", "grayscale(1)")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        toast.hover()
        page.wait_for_function(
            """() => document.querySelector('[data-sonner-toast]').getBoundingClientRect().bottom
              <= document.querySelector('p.note.away').getBoundingClientRect().top"""
        )
    app.start()
    expect(main).to_have_css("filter", "none", timeout=10_000)


def test_the_ends_of_many_pages_are_one_click_away(page: Page, app: RunningApp) -> None:
    for number in range(101):
        start(app, f"one-of-{number:03d}")
        http.delete(f"{app.api}/stream/one-of-{number:03d}").raise_for_status()
    open_page(page, app, "/")
    page.get_by_label("Search batches").fill("one-of-")
    expect(page.get_by_text("Page 1 of 6")).to_be_visible()
    expect(page.get_by_role("button", name="Newest")).to_be_disabled()
    page.get_by_role("button", name="Oldest").click()
    expect(page.get_by_text("Page 6 of 6")).to_be_visible()
    expect(page.locator(".batches tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Newest").click()
    expect(page.get_by_text("Page 1 of 6")).to_be_visible()


def test_the_theme_follows_the_system_until_chosen_and_is_kept(page: Page, app: RunningApp) -> None:
    page.emulate_media(color_scheme="dark")
    open_page(page, app, "/")
    html = page.locator("html")
    expect(html).to_have_class(re.compile("dark"))
    page.get_by_role("button", name="Theme: as the system has it").click()
    expect(html).to_have_class(re.compile("light"))
    page.reload()
    expect(html).to_have_class(re.compile("light"))
    page.get_by_role("button", name="Theme: light").click()
    expect(html).to_have_class(re.compile("dark"))


@pytest.mark.parametrize("width", [320, 360, 900, 1920])
def test_nothing_sticks_out(page: Page, app: RunningApp, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    start(app, "w" * 64)
    for path in ("/", f"/batch/{'w' * 64}", "/batch/unknown"):
        open_page(page, app, path)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") == width
