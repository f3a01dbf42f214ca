"""The functions of ``assets/format.js``, called in a browser in the time zone of Berlin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tests.helpers.running_app import PROJECT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.xdist_group("format")  # One browser for all tests.

MINUTE = 60_000_000
MIDNIGHT = 1_790_000_000_000_000 // (1440 * MINUTE) * 1440 * MINUTE
"""Midnight UTC in microseconds, 02:00 in Berlin."""


TO = "\u200e – \u200e"
"""A dash between two left-to-right marks (U+200E)."""

_PAGE = """<!doctype html><script type="module">
import * as format from "/format.js"; window.format = format;</script>"""


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """A page that has imported ``format.js``, in British English."""
    with open_tab(browser, "en-GB") as page:
        yield page


@contextmanager
def open_tab(browser: Browser, locale: str) -> Iterator[Page]:
    """Open a page that has imported ``format.js``."""
    page = browser.new_page(timezone_id="Europe/Berlin", locale=locale)
    page.route("http://solo.test/", lambda r: r.fulfill(body=_PAGE, content_type="text/html"))
    page.route("**/format.js", lambda r: r.fulfill(path=PROJECT / "assets" / "format.js"))
    page.goto("http://solo.test/")
    page.wait_for_function("window.format")
    yield page
    page.close()


def call(tab: Page, function: str, *args: Any) -> Any:
    return tab.evaluate("([name, args]) => window.format[name](...args)", [function, args])


def labels(tab: Page, start: int, span: int) -> list[str]:
    """Return the labels of a time axis that begins at ``start`` and spans ``span`` minutes."""
    ticks = call(tab, "timeTicks", start, start + span * MINUTE)
    return [call(tab, "timeTick", tick) for tick in ticks]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (12345, "12,345"),
        (-1.5, "-1.5"),
        (49.123456789, "49.1235"),
        (1e21, "1E21"),
    ],
)
def test_value_has_at_most_six_significant_digits(tab: Page, value: float, text: str) -> None:
    assert call(tab, "value", value) == text


def test_unit_follows_a_value_but_not_a_dash(tab: Page) -> None:
    assert call(tab, "withUnit", "21.5", "°C") == "21.5\u00a0°C"
    assert call(tab, "withUnit", "21.5", "") == "21.5"
    assert call(tab, "withUnit", call(tab, "value", None), "°C") == "–"


def test_log_has_seconds_and_the_day_of_earlier_lines(tab: Page) -> None:
    at = MIDNIGHT + 3_011_000
    assert call(tab, "logTime", at) == "21 Sept, 02:00:03"
    assert call(tab, "milliseconds", at) == ".011"
    now = tab.evaluate("Date.now() * 1000")
    assert call(tab, "logTime", now) == call(tab, "time", now)
    line = {"t": at, "level": "retry", "text": "HTTP 503"}
    assert (
        call(tab, "logText", [line, line]).splitlines()
        == ["2026-09-21 00:00:03.011 UTC retry HTTP 503"] * 2
    )


def test_relative_url_is_completed_with_the_origin_of_the_page(tab: Page) -> None:
    assert call(tab, "origin", "") == "http://solo.test"
    assert call(tab, "origin", "http://localhost:8000") == "http://localhost:8000"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3700, "1 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_duration_has_its_two_largest_units(tab: Page, seconds: float, text: str) -> None:
    assert call(tab, "duration", seconds).replace("\u00a0", " ") == text


def test_time_is_in_the_time_zone_of_the_viewer(tab: Page) -> None:
    time = MIDNIGHT + 61_234_567
    assert call(tab, "time", time) == "02:01:01"
    assert call(tab, "timeMs", time) == "02:01:01.234"
    assert call(tab, "utc", time).endswith("00:01:01.234 UTC")
    assert call(tab, "time", None) == "–"


def test_day_is_shown_unless_it_is_today(tab: Page) -> None:
    assert len(call(tab, "dateTime", tab.evaluate("Date.now() * 1000"))) == len("02:00")
    assert call(tab, "dateTime", MIDNIGHT - 365 * 1440 * MINUTE) == "21 Sept 2025, 02:00"


@pytest.mark.parametrize(
    ("locale", "number", "value", "time", "day"),
    [
        ("en-US", "1,234,567", "-0.25", "02:01:01.234", "Sep 21, 2025, 02:00"),
        ("de-DE", "1.234.567", "-0,25", "02:01:01,234", "21. Sept. 2025, 02:00"),
        ("bn-BD", "১২,৩৪,৫৬৭", "-০.২৫", "০২:০১:০১.২৩৪", "২১ সেপ, ২০২৫, ০২:০০"),
    ],
)
def test_numbers_and_times_are_in_the_locale_of_the_viewer(
    browser: Browser, locale: str, number: str, value: str, time: str, day: str
) -> None:
    with open_tab(browser, locale) as tab:
        assert call(tab, "number", 1_234_567) == number
        assert call(tab, "value", -0.25) == value
        assert call(tab, "timeMs", MIDNIGHT + 61_234_567) == time
        assert call(tab, "dateTime", MIDNIGHT - 365 * 1440 * MINUTE) == day
        assert call(tab, "iso", MIDNIGHT) == "2026-09-21T00:00:00.000Z"
        assert call(tab, "sparkline", [20, 16.5]) == "M0.0 1.0L100.0 31.0"


def test_range_in_arabic_digits_begins_on_the_left(browser: Browser) -> None:
    with open_tab(browser, "ar-EG") as tab:
        left = """text => {
            document.body.textContent = text;
            const range = document.createRange();
            return [0, text.length - 1].map((i) => {
                range.setStart(document.body.firstChild, i);
                range.setEnd(document.body.firstChild, i + 1);
                return range.getBoundingClientRect().left;
            });
        }"""
        for shown in [
            call(tab, "valueRange", 3, 98),
            call(tab, "timeRange", MIDNIGHT, MIDNIGHT + MINUTE),
        ]:
            first, last = tab.evaluate(left, shown)
            assert first < last, shown


def test_range_shows_its_day_once(tab: Page) -> None:
    start = MIDNIGHT - 365 * 1440 * MINUTE
    assert call(tab, "timeRange", start, start + MINUTE) == f"21 Sept 2025, 02:00{TO}02:01"
    tomorrow = start + 1440 * MINUTE
    assert call(tab, "timeRange", start, tomorrow) == f"21 Sept 2025, 02:00{TO}22 Sept 2025, 02:00"
    assert call(tab, "timeRange", start, None) == "–"


def test_sparkline_with_a_floor_is_scaled_from_it(tab: Page) -> None:
    assert call(tab, "sparkline", [20, 16]) == "M0.0 1.0L100.0 31.0"
    assert call(tab, "sparkline", [20, 16], 0) == "M0.0 1.0L100.0 7.0"


def test_sparkline_of_equal_values_is_flat(tab: Page) -> None:
    assert call(tab, "sparkline", [0, 0], 0) == "M0.0 31.0L100.0 31.0"
    assert call(tab, "sparkline", [5, 5]) == "M0.0 16.0L100.0 16.0"


def test_sparkline_shows_the_whole_range_of_doubles(tab: Page) -> None:
    assert call(tab, "sparkline", [-1.7e308, 1.7e308]) == "M0.0 31.0L100.0 1.0"


def test_value_between_gaps_is_a_dash_in_a_sparkline(tab: Page) -> None:
    assert call(tab, "sparkline", [1, 1, None, 1, None]) == "M0.0 16.0L25.0 16.0M62.5 16.0h25.0"
    assert call(tab, "sparkline", [None, 3]) == "M50.0 16.0h100.0"


def test_sparkline_of_no_values_is_empty(tab: Page) -> None:
    assert [call(tab, "sparkline", values) for values in ([], [1], [None, None])] == ["", "", ""]


def test_time_axis_has_round_local_times(tab: Page) -> None:
    start = MIDNIGHT + 7 * MINUTE
    assert labels(tab, start, 15) == ["02:10", "02:15", "02:20"]
    assert labels(tab, start, 60)[:3] == ["02:10", "02:15", "02:20"]
    assert labels(tab, start, 360)[:3] == ["02:30", "03:00", "03:30"]
    day = labels(tab, start, 1440)
    assert day[:2] == ["04:00", "06:00"]
    assert "22 Sept" in day


@pytest.mark.parametrize("span", [15, 60, 360, 1440])
def test_time_axis_has_at_most_twelve_labels(tab: Page, span: int) -> None:
    assert 3 <= len(labels(tab, MIDNIGHT + MINUTE, span)) <= 12


def test_time_axis_stays_round_across_a_clock_change(tab: Page) -> None:
    autumn = 1_792_886_400_000_000  # 2026-10-25T00:00Z, an hour before the end of DST.
    day = labels(tab, autumn - 720 * MINUTE, 1440)
    assert day == sorted(day[:5]) + day[5:]
    assert all(label.endswith(":00") or label == "25 Oct" for label in day)


def test_tooltip_of_a_minute_shows_local_time_and_utc(tab: Page) -> None:
    shown = call(tab, "minuteLabel", MIDNIGHT + MINUTE - 1, [{}])
    assert shown.splitlines()[0].endswith("02:00")
    assert shown.splitlines()[1].endswith("00:00 UTC")
    assert call(tab, "minuteLabel", MIDNIGHT, []).splitlines()[0].endswith("02:00 · No data")


def test_tooltip_formats_averages_and_ranges(tab: Page) -> None:
    assert call(tab, "tooltipValue", 49.123456, "avg", {"dataKey": "average"}) == "49.12"
    assert call(tab, "tooltipValue", [0, 7.5], "min – max") == f"0{TO}7.5"


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({"minutes": "0", "from": "2026-09-21T02:00"}, {}),
        ({"minutes": "15"}, {"from": ["2026-09-21T13:58:20.000Z"]}),
        ({"minutes": "-1", "from": "", "to": ""}, {}),
        (
            {"minutes": "-1", "from": "2026-09-21T02:00:05", "to": "2026-12-21T02:00"},
            {"from": ["2026-09-21T00:00:05.000Z"], "to": ["2026-12-21T01:00:00.000Z"]},
        ),
    ],
)
def test_download_query_has_the_chosen_range_in_utc(
    tab: Page, fields: dict[str, str], query: dict[str, list[str]]
) -> None:
    end = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z
    found = parse_qs(call(tab, "downloadQuery", {"format": "csv", **fields}, end))
    assert found == {"format": ["csv"], **query}
