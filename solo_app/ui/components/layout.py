"""The layout of all pages: bar, banners, main content."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.shortcuts import shortcuts
from solo_app.ui.components.theme_switch import theme_switch

ICON = "icon.svg"

_LIBRARY = "$/public/connection.js"


def page(*children: Any, location: Any = None, state: Any = None, status: Any = "") -> rx.Component:
    """Return a page with the bar, banners, and the icon for ``status`` in the tab.

    ``location`` is shown in the bar; ``state`` is the ``LiveState`` of a page with live data.
    """
    live = (state.server_time, state.update_interval) if state else ()
    return rx.el.div(
        tab_icon(status),
        rx.el.a(text.SKIP_LINK, href="#main", reload_document=True, class_name="skip"),
        bar(connection(*live), location),
        rx.el.main(
            banners(state) if state else rx.fragment(),
            *children,
            id="main",
            class_name="main",
        ),
        _OfflineBanner.create(is_disconnected=has_connection_errors, text=text.CONNECTION_LOST),
        # Preloaded, so that links work while the server is unreachable.
        *[_Preload.create(page=path) for path in ("/", "/batch/any")],
        class_name="page",
    )


class _Preload(rx.Component):
    library = "react-router"
    tag = "PrefetchPageLinks"
    page: rx.Var[str]


def tab_icon(status: Any = "") -> rx.Component:
    """Return the icon in the tab, with a dot for the status ``running`` or ``failed``."""
    href = rx.match(
        status, ("running", "/icon-running.svg"), ("failed", "/icon-failed.svg"), f"/{ICON}"
    )
    return rx.el.link(rel="icon", href=href, type="image/svg+xml")


def bar(indicator: rx.Component, location: Any = None) -> rx.Component:
    """Return the bar with the product, the location, the connection indicator and buttons."""
    where = () if location is None else (rx.el.span("/ ", location, class_name="location"),)
    return rx.el.header(
        rx.el.a(text.PRODUCT, href="/", class_name="wordmark", aria_label=text.HOME_LINK),
        *where,
        rx.el.span(class_name="spacer"),
        indicator,
        shortcuts(),
        theme_switch(),
        class_name="bar",
    )


def connection(
    server_time: Any = None, interval: Any = 0, is_ready: Any = rx.State.is_hydrated
) -> rx.Component:
    """Return the indicator that shows whether the page is current.

    ``server_time`` (seconds) changes every second while the page is connected; it is None on
    pages without live data. ``interval`` is the time between updates in seconds.
    """
    return _Connection.create(
        is_disconnected=has_connection_errors,
        is_ready=is_ready,
        server_time=server_time,
        interval=interval,
        labels=[text.LIVE, text.CONNECTING, text.OFFLINE, text.BEHIND],
    )


def banners(state: Any) -> rx.Component:
    """Return the notices about slow updates and storage errors."""
    high_load = text.HIGH_LOAD.format(interval=fmt.duration(state.update_interval))
    return rx.fragment(
        rx.cond(
            state.update_interval >= 1,
            rx.el.p(high_load, class_name="banner", role="status"),
        ),
        _error(text.WRITES_FAILING, state.write_error),
        _error(text.ARCHIVING_FAILING, state.archive_error),
        _error(text.POINTS_UNREADABLE, state.read_error),
    )


def _error(label: str, reason: Any) -> rx.Component:
    return rx.cond(reason != "", rx.el.p(label, reason, class_name="banner error", role="status"))


class _Connection(rx.Component):
    library = _LIBRARY
    tag = "Connection"
    is_disconnected: rx.Var[bool]
    is_ready: rx.Var[bool]
    server_time: rx.Var[int | None]
    interval: rx.Var[float]
    labels: rx.Var[list[str]]


class _OfflineBanner(rx.Component):
    library = _LIBRARY
    tag = "OfflineBanner"
    is_disconnected: rx.Var[bool]
    text: rx.Var[str]
