"""Adds the pages to the app, with its loading screen, toasts and error handler."""

from __future__ import annotations

import logging
from functools import partial

import reflex as rx
from reflex.event import EventSpec

from solo_app.ui import text
from solo_app.ui.components.layout import ICON, bar, connection, tab_icon
from solo_app.ui.console import Console
from solo_app.ui.pages.batch import batch_page
from solo_app.ui.pages.home import home_page
from solo_app.ui.pages.not_found import not_found_page
from solo_app.ui.state.batch import BatchState
from solo_app.ui.state.home import HomeState
from solo_app.ui.state.live_updates import LiveState
from solo_app.ui.state.start_form import Sources, read_source

logger = logging.getLogger(__name__)


def add_pages(app: rx.App, console: Console, sources: Sources) -> None:
    """Add the pages, the loading screen, the toasts and the error handler to the app."""
    LiveState.console = console
    app.add_page(
        partial(home_page, sources),
        route="/",
        title=HomeState.title,
        image=ICON,
        description=text.DESCRIPTION,
        on_load=[HomeState.stream_updates, read_source(HomeState.restore_source)],
    )
    app.add_page(
        batch_page,
        route="/batch/[id]",
        title=BatchState.title,
        image=ICON,
        description=text.DESCRIPTION,
        on_load=BatchState.stream_updates,
    )
    app.add_page(
        not_found_page,
        route="404",
        title=f"{text.PAGE_NOT_FOUND} · {text.PRODUCT}",
        image=ICON,
    )
    # Remove Reflex's notices of a lost connection; every page has its own banner.
    del app.app_wraps[5, "Overlay"]
    app.toaster = rx.toast.provider(position="bottom-left", rich_colors=False, expand=True)
    app.hydrate_fallback = loading_screen()
    app.backend_exception_handler = report_unexpected_error


def loading_screen() -> rx.Component:
    """Return the content shown until the scripts of the page are loaded, the same for every URL."""
    return rx.el.div(
        rx.el.title(text.PRODUCT),
        tab_icon(),
        bar(connection(is_ready=False)),
        rx.el.main(
            rx.el.h1(text.PRODUCT, class_name="visually-hidden"), id="main", class_name="main"
        ),
        class_name="page",
    )


def report_unexpected_error(error: Exception) -> EventSpec:
    """Log an unexpected error of an event handler, and show a toast."""
    logger.error("Event handler failed", exc_info=error)
    return rx.toast.error(
        text.SERVER_ERROR, description=text.SERVER_ERROR_DETAIL, id="server-error"
    )
