"""Search, status filter and pagination of the table of batches."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.shortcuts import with_key_hint
from solo_app.ui.state.batch_table import MAX_SEARCH_LENGTH
from solo_app.ui.state.home import HomeState

SEARCH_FIELD = "batch-search"
"""The id of the search field."""

_MANY_PAGES = 5
"""With more pages, the pager also has buttons for the first and the last page."""


def table_filters() -> rx.Component:
    """Return the number of matches, the search and the status filter."""
    matches = fmt.count(HomeState.match_count, "batch", "batches")
    return rx.el.div(
        rx.el.h2(
            text.ALL_BATCHES,
            rx.cond(
                HomeState.match_count > 0,
                rx.el.span(" ", fmt.number(HomeState.match_count), class_name="count"),
            ),
        ),
        # Announces the result of a search to screen readers.
        rx.el.p(
            rx.cond(HomeState.is_loaded, text.FOUND.format(batches=matches), ""),
            role="status",
            class_name="visually-hidden",
        ),
        rx.el.span(class_name="spacer"),
        with_key_hint(_search_field(), "/"),
        rx.el.div(
            *[_filter(name, label) for name, label in text.FILTERS.items()],
            role="group",
            aria_label=text.STATUS_FILTER,
            class_name="segmented",
        ),
        class_name="table-filters",
    )


def _search_field() -> rx.Component:
    return rx.debounce_input(
        rx.el.input(
            id=SEARCH_FIELD,
            type="search",
            placeholder=text.SEARCH_EXAMPLE,
            aria_label=text.SEARCH,
            value=HomeState.search,
            on_change=HomeState.search_batches,
            max_length=MAX_SEARCH_LENGTH,
            custom_attrs={"aria-keyshortcuts": "/"},
            class_name="field",
        ),
        debounce_timeout=200,
    )


def pager() -> rx.Component:
    """Return the buttons for other pages, or nothing if there is only one page."""
    last = HomeState.page_count - 1
    return rx.cond(
        HomeState.page_count > 1,
        rx.el.nav(
            _end_button(text.FIRST, 0, HomeState.page_no == 0),
            _page_button(text.PREVIOUS, HomeState.page_no - 1, HomeState.page_no == 0),
            rx.el.span(
                text.PAGE_OF.format(
                    page=fmt.number(HomeState.page_no + 1), count=fmt.number(HomeState.page_count)
                ),
                aria_live="polite",
            ),
            _page_button(text.NEXT, HomeState.page_no + 1, HomeState.page_no >= last),
            _end_button(text.LAST, last, HomeState.page_no >= last),
            aria_label=text.PAGES,
            class_name="pagination",
        ),
    )


def _filter(name: str, label: str) -> rx.Component:
    return rx.el.button(
        label,
        type="button",
        on_click=HomeState.filter_by_status(name),  # type: ignore[operator]
        aria_pressed=HomeState.status_filter == name,
    )


def _end_button(label: str, page: Any, disabled: Any) -> rx.Component:
    return rx.cond(HomeState.page_count > _MANY_PAGES, _page_button(label, page, disabled))


def _page_button(label: str, page: Any, disabled: Any) -> rx.Component:
    return rx.el.button(
        label,
        type="button",
        on_click=HomeState.show_page(page),  # type: ignore[operator]
        disabled=disabled,
        class_name="button small repeatable",
    )
