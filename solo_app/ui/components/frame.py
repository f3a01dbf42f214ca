"""The frame around every page: the bar above, the banners, the main part."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors
from reflex_components_core.react_router import link

from solo_app.ui import browser, strings
from solo_app.ui.components.theme_choice import theme_choice


def page(
    *children: Any,
    where: Any = None,
    state: Any = None,
    status: Any = "",
    is_ticking: Any = False,
) -> rx.Component:
    """A page: the bar, then what ``state`` has to tell about the app, then the children.

    ``status`` is that of what the page is about; the icon in the tab shows it. ``is_ticking``
    says whether the page is told something every second.
    """
    return rx.el.div(
        browser.function("showIcon").call(status).to(str),
        link("Skip to the content", to="#main", reload_document=True, class_name="skip"),
        bar(where, liveness(is_ticking, state.slowed_to) if state is not None else liveness()),
        rx.el.main(
            banners(state) if state is not None else rx.fragment(),
            *children,
            id="main",
            class_name="main",
        ),
        # Fetched while the server is there: without it a link must still lead somewhere.
        *[_Preload.create(page=path) for path in ("/", "/batch/any")],
        class_name="wrap",
    )


class _Preload(rx.Component):
    library = "react-router"
    tag = "PrefetchPageLinks"
    page: rx.Var[str]


def bar(where: Any = None, sign: Any = None) -> rx.Component:
    """The wordmark, where one is, whether the page is live, the theme."""
    return rx.el.header(
        link(strings.PRODUCT, to="/", class_name="word", aria_label="SOLO, all batches"),
        rx.el.span("/ ", where, class_name="where") if where is not None else rx.fragment(),
        rx.el.span(class_name="grow"),
        sign if sign is not None else liveness(),
        theme_choice(),
        class_name="bar",
    )


def liveness(
    is_ticking: Any = False, interval: Any = 0, is_there: Any = rx.State.is_hydrated
) -> rx.Component:
    """Whether what the page shows is of now.

    ``is_ticking`` says whether ticks must come, ``interval`` how slow they may be (seconds),
    ``is_there`` whether the page knows anything yet.
    """
    return _Liveness.create(
        away=has_connection_errors,
        ready=is_there,
        ticking=is_ticking,
        interval=interval,
        words=[strings.LIVE, strings.CONNECTING, strings.AWAY, strings.OLD],
    )


def banners(state: Any) -> rx.Component:
    """Slow ticks, points that wait for the disk, that are not archived, that cannot be read."""
    return rx.fragment(
        rx.cond(
            state.slowed_to > 0,
            rx.el.p(
                strings.SLOWED, browser.span(state.slowed_to), ".", class_name="note", role="status"
            ),
        ),
        rx.cond(
            state.trouble != "",
            rx.el.p(strings.WAITING_FOR_DISK, state.trouble, class_name="note bad", role="status"),
        ),
        rx.cond(
            state.unarchived != "",
            rx.el.p(strings.NOT_ARCHIVED, state.unarchived, class_name="note bad", role="status"),
        ),
        rx.cond(
            state.lacks != "",
            rx.el.p(strings.NOT_READ, state.lacks, class_name="note bad", role="status"),
        ),
    )


def away_banner() -> rx.Component:
    """What stands above every page while the server is away."""
    # Reflex puts the rest of the app into what it is given here: a fragment has room for it.
    return rx.fragment(
        _AwayBanner.create(
            away=has_connection_errors, before=strings.AWAY_SINCE, after=strings.AWAY_GOES_ON
        )
    )


class _Liveness(rx.Component):
    library = "$/public/solo.js"
    tag = "Liveness"
    away: rx.Var[bool]
    ready: rx.Var[bool]
    ticking: rx.Var[bool]
    interval: rx.Var[float]
    words: rx.Var[list[str]]


class _AwayBanner(rx.Component):
    library = "$/public/solo.js"
    tag = "AwayBanner"
    away: rx.Var[bool]
    before: rx.Var[str]
    after: rx.Var[str]
