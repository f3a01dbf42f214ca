"""The page of one batch: live data and aggregated data, or why there is none."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import strings
from solo_app.ui.browser import route_id
from solo_app.ui.components.absent import cannot_be, never_was
from solo_app.ui.components.batch_header import batch_header
from solo_app.ui.components.frame import page
from solo_app.ui.components.last_minute import last_minute
from solo_app.ui.components.live_chart import live_chart
from solo_app.ui.components.minute_chart import minute_chart
from solo_app.ui.components.newest_points import newest_points
from solo_app.ui.components.runs import runs
from solo_app.ui.states.batch import BatchState


def batch_page() -> rx.Component:
    """What the state knows, once it is about the batch that the address names."""
    return page(
        rx.cond(
            BatchState.shown == route_id(),
            rx.match(
                BatchState.kind,
                ("batch", _batch()),
                ("unknown", never_was()),
                ("invalid", cannot_be()),
                _not_yet(),
            ),
            _not_yet(),
        ),
        where=route_id(),
        state=BatchState,
        status=BatchState.status,
        # Before it knows the batch it waits for the first tick.
        is_ticking=(BatchState.shown != route_id()) | (BatchState.status == "running"),
    )


def _batch() -> rx.Component:
    return rx.fragment(
        batch_header(),
        rx.el.div(live_chart(), last_minute(), class_name="two"),
        minute_chart(),
        rx.el.div(newest_points(), runs(), class_name="two"),
    )


def _not_yet() -> rx.Component:
    """The bones of the page, as large as what comes, until the first data are there."""
    return rx.fragment(
        rx.el.div(
            rx.el.div(
                rx.el.h1(route_id(), class_name="id"),
                rx.el.p(rx.el.span(class_name="bone line"), class_name="standing"),
                class_name="name",
            ),
            rx.el.div(rx.el.span(class_name="button bone"), class_name="deed"),
            class_name="head",
        ),
        rx.el.div(
            _bones(strings.LATEST, "live-chart"),
            _bones(strings.LAST_WHOLE_MINUTE, "minute"),
            class_name="two",
        ),
        _bones(strings.BY_MINUTE, "by-minute"),
        rx.el.div(
            _bones(strings.NEWEST_POINTS, "newest"),
            _bones(strings.RUNS, "all-runs"),
            class_name="two",
        ),
    )


def _bones(title: str, kind: str) -> rx.Component:
    return rx.el.section(
        rx.el.h2(title), rx.el.div(class_name="bone fill"), class_name=f"card bones {kind}"
    )
