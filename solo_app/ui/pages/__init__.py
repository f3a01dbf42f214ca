"""The pages, and what they have in common."""

from __future__ import annotations

import logging
import traceback

import reflex as rx
from reflex.event import EventSpec

from solo_app.ui import strings
from solo_app.ui.components.frame import ICON, bar, liveness, tab_icon
from solo_app.ui.pages.batch import batch_page
from solo_app.ui.pages.home import home_page
from solo_app.ui.pages.not_found import not_found_page
from solo_app.ui.state.batch import BatchState
from solo_app.ui.state.home import HomeState

logger = logging.getLogger(__name__)


def add_pages(app: rx.App) -> None:
    """Add every page to the app, and what stands around and before them."""
    app.add_page(
        home_page,
        route="/",
        title=HomeState.title,
        image=ICON,
        description=strings.DESCRIPTION,
        on_load=HomeState.stream_updates,
    )
    app.add_page(
        batch_page,
        route="/batch/[id]",
        title=BatchState.title,
        image=ICON,
        description=strings.DESCRIPTION,
        on_load=BatchState.stream_updates,
    )
    app.add_page(
        not_found_page,
        route="404",
        title=f"{strings.NO_SUCH_PAGE} · {strings.PRODUCT}",
        image=ICON,
    )
    # Reflex's signs of a lost connection; every page has a banner instead.
    del app.app_wraps[5, "Overlay"]
    app.toaster = rx.toast.provider(position="bottom-right", rich_colors=False, expand=True)
    app.hydrate_fallback = before_all()
    app.backend_exception_handler = say_that_it_failed


def before_all() -> rx.Component:
    """What stands before the scripts run, the same at every address.

    It goes when those of the page are there; the connection may be there before.
    """
    return rx.el.div(
        rx.el.title(strings.PRODUCT),
        tab_icon(),
        bar(sign=liveness(is_ready=False)),
        rx.el.main(rx.el.h1(strings.PRODUCT, class_name="unseen"), id="main", class_name="main"),
        class_name="wrap",
    )


def say_that_it_failed(error: Exception) -> EventSpec:
    """Log what a handler met unforeseen, and tell the person that it did not work."""
    logger.error("".join(traceback.format_exception(error)))
    return rx.toast.error(strings.BROKEN, description=strings.BROKEN_ADVICE, id="broken")
