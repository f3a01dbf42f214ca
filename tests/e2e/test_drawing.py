"""What ``assets/solo/`` makes of numbers: small lines, minutes as steps, gaps, times below."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.running_app import PROJECT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MINUTE = 60_000_000
MIDNIGHT = 1_790_000_000_000_000 // (1440 * MINUTE) * 1440 * MINUTE
DAY = (MIDNIGHT, MIDNIGHT + 1440 * MINUTE)
DESK, PHONE = 1040, 294
"""How wide the part with the chart is, in pixels; 44 of them are its axis and edge."""

_MODULES = {
    "react": "data:text/javascript,export let createElement, useEffect, useState;",
    "$/utils/state": "data:text/javascript,export let getBackendURL;",
}
_PAGE = f"""<!doctype html><div class="minutes"></div>
<script type="importmap">{json.dumps({"imports": _MODULES})}</script>
<script type="module">import * as solo from "/solo.js"; window.solo = solo;</script>"""


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """A tab in Berlin that has the functions."""
    page = browser.new_page(timezone_id="Europe/Berlin")
    page.route("http://solo.test/", lambda r: r.fulfill(body=_PAGE, content_type="text/html"))
    page.route(
        "http://solo.test/**/*.js",
        lambda r: r.fulfill(path=PROJECT / "assets" / urlsplit(r.request.url).path[1:]),
    )
    page.goto("http://solo.test/")
    page.wait_for_function("window.solo")
    yield page
    page.close()


def call(tab: Page, function: str, *args: Any, width: int = DESK) -> Any:
    """What the function gives, where the chart's part is so wide."""
    return tab.evaluate(
        """([name, args, width]) => {
          document.querySelector('.minutes').style.width = `${width}px`;
          return window.solo[name](...args);
        }""",
        [function, args, width],
    )


def minutes(*missing: int, count: int = 1440) -> list[list[float]]:
    """Minutes of the day as the state has them: instant, average, lowest, highest, count."""
    return [
        [MIDNIGHT + n * MINUTE, n % 7, -n, n, 1 + n % 3] for n in range(count) if n not in missing
    ]


def drawn(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps, each once."""
    return list({step["from"]: step for step in steps if step["average"] is not None}.values())


def holes(steps: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """From where to where nothing is drawn between two steps."""
    return [
        (steps[i - 1]["t"], steps[i + 1]["t"])
        for i in range(1, len(steps) - 1)
        if steps[i]["average"] is None
    ]


def test_a_small_line_with_a_floor_shows_a_small_fall_as_small(tab: Page) -> None:
    assert call(tab, "spark", [20, 16]) == "M0.0 1.0L100.0 31.0"
    assert call(tab, "spark", [20, 16], 0) == "M0.0 1.0L100.0 7.0"


def test_a_small_line_of_nothing_lies_at_the_bottom(tab: Page) -> None:
    assert call(tab, "spark", [0, 0], 0) == "M0.0 31.0L100.0 31.0"
    assert call(tab, "spark", [5, 5]) == "M0.0 16.0L100.0 16.0"


def test_a_number_alone_between_gaps_is_a_dash(tab: Page) -> None:
    assert call(tab, "spark", [1, 1, None, 1, None]) == "M0.0 16.0L25.0 16.0M62.5 16.0h25.0"
    assert call(tab, "spark", [None, 3]) == "M50.0 16.0h100.0"


def test_a_day_is_drawn_in_steps_that_keep_every_point(tab: Page) -> None:
    given = minutes()
    steps = drawn(call(tab, "byMinute", given, *DAY))
    assert len(steps) == 480
    for step, n in zip(steps, range(0, 1440, 3), strict=True):
        three = given[n : n + 3]
        count = sum(minute[4] for minute in three)
        assert step["average"] == pytest.approx(sum(m[1] * m[4] for m in three) / count)
        assert step["range"] == [min(m[2] for m in three), max(m[3] for m in three)]
        assert (step["from"], step["to"]) == (three[0][0], three[-1][0] + MINUTE)


@pytest.mark.parametrize("span", [15, 60, 360])
def test_up_to_six_hours_every_minute_is_a_step(tab: Page, span: int) -> None:
    given = minutes(count=span)
    steps = drawn(call(tab, "byMinute", given, MIDNIGHT, MIDNIGHT + span * MINUTE))
    assert [step["average"] for step in steps] == [minute[1] for minute in given]


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("span", [60, 360, 1440])
def test_a_missing_minute_is_a_gap_of_two_pixels_at_least(tab: Page, span: int, width: int) -> None:
    first = span // 2 + 1
    end = MIDNIGHT + span * MINUTE
    given = minutes(first, count=span)
    found = holes(call(tab, "byMinute", given, MIDNIGHT, end, width=width))
    assert len(found) == 1
    begins, ends = found[0]
    pixels = (ends - begins) / (end - MIDNIGHT) * (width - 44)
    assert pixels >= 1.99
    assert begins <= MIDNIGHT + first * MINUTE
    assert ends >= MIDNIGHT + (first + 1) * MINUTE


def test_gaps_and_minutes_that_alternate_are_still_few_steps(tab: Page) -> None:
    steps = call(tab, "byMinute", minutes(*range(1, 1440, 2)), *DAY)
    assert len(drawn(steps)) <= 480
    assert len(holes(steps)) > 200
    assert [step["t"] for step in steps] == sorted(step["t"] for step in steps)


def test_a_wide_gap_has_room_for_words(tab: Page) -> None:
    given = minutes(*range(100), 600, *range(900, 1100))
    wide = [[MIDNIGHT + a * MINUTE, MIDNIGHT + b * MINUTE] for a, b in ((0, 100), (900, 1100))]
    assert call(tab, "wideGaps", given, *DAY) == wide[1:]
    assert call(tab, "wideGaps", given, *DAY, width=2000) == wide
    assert call(tab, "wideGaps", given, *DAY, width=PHONE) == []


def test_times_below_are_round_in_the_zone_of_the_viewer(tab: Page) -> None:
    start = MIDNIGHT + 7 * MINUTE
    phone = call(tab, "timeTicks", start, start + 1440 * MINUTE, width=PHONE)
    assert [call(tab, "timeTick", t) for t in phone] == ["06:00", "12:00", "18:00", "22 Sept"]
    hour = call(tab, "timeTicks", start, start + 60 * MINUTE, width=PHONE)
    assert [call(tab, "timeTick", t)[-2:] for t in hour] == ["15", "30", "45", "00"]


def test_what_is_under_the_pointer_is_told_in_both_zones(tab: Page) -> None:
    minute = {"payload": {"from": MIDNIGHT, "to": MIDNIGHT + 3 * MINUTE}}
    told = call(tab, "minuteTime", MIDNIGHT, [minute])
    assert told.splitlines()[0].endswith("02:00 to 02:03")
    assert told.splitlines()[1].endswith("00:00 UTC")
    assert call(tab, "minuteTime", MIDNIGHT, []).splitlines()[0].endswith("02:00: no points")
    assert call(tab, "told", 49.123456, "average") == "49.12"
    assert call(tab, "told", [0, 7.5], "lowest to highest") == "0 to 7.5"
