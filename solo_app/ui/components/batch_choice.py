"""What of the table is shown: the search, the filter, the page."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser, strings
from solo_app.ui.states.home import HomeState

_MANY = 5
"""From more pages than these one may go to the first and the last at once."""


def batch_choice() -> rx.Component:
    """The head of the table."""
    return rx.el.div(
        rx.el.h2(
            strings.ALL_BATCHES,
            rx.cond(
                HomeState.match_count > 0,
                rx.el.span(" ", browser.number(HomeState.match_count), class_name="count"),
            ),
        ),
        # For those who hear what a search found: the table itself says nothing by changing.
        rx.el.p(
            rx.cond(HomeState.loaded, f"{HomeState.match_count} {strings.FOUND}", ""),
            role="status",
            class_name="unseen",
        ),
        rx.el.span(class_name="grow"),
        rx.debounce_input(
            rx.el.input(
                type="search",
                placeholder=strings.SEARCH_EXAMPLE,
                aria_label=strings.SEARCH,
                value=HomeState.search,
                on_change=HomeState.search_for,
                max_length=64,
                class_name="field search",
            ),
            debounce_timeout=200,
        ),
        rx.el.div(
            *[_filter(which, word) for which, word in strings.FILTERS.items()],
            role="group",
            aria_label=strings.FILTER,
            class_name="seg",
        ),
        class_name="choice",
    )


def pager() -> rx.Component:
    """Forth and back, and to the ends where they are far; nothing when all fits on one page."""
    last = HomeState.page_count - 1
    return rx.cond(
        HomeState.page_count > 1,
        rx.el.nav(
            _turn_far(strings.NEWEST, 0, HomeState.page_no == 0),
            _turn(strings.NEWER, HomeState.page_no - 1, HomeState.page_no == 0),
            rx.el.span(
                "Page ",
                browser.number(HomeState.page_no + 1),
                " of ",
                browser.number(HomeState.page_count),
                aria_live="polite",
            ),
            _turn(
                strings.OLDER,
                HomeState.page_no + 1,
                HomeState.page_no >= last,
            ),
            _turn_far(strings.OLDEST, last, HomeState.page_no >= last),
            aria_label="Pages of batches",
            class_name="pager",
        ),
    )


def _filter(which: str, word: str) -> rx.Component:
    return rx.el.button(
        word,
        type="button",
        on_click=HomeState.show_only(which),  # type: ignore[operator]
        aria_pressed=HomeState.which == which,
    )


def _turn_far(word: str, page: Any, never: Any) -> rx.Component:
    return rx.cond(HomeState.page_count > _MANY, _turn(word, page, never))


def _turn(word: str, page: Any, never: Any) -> rx.Component:
    return rx.el.button(
        word,
        type="button",
        on_click=HomeState.turn_to(page),  # type: ignore[operator]
        disabled=never,
        class_name="button small again",
    )
