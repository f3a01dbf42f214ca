"""The batch page: live and aggregated data, or a notice that the batch does not exist."""

from __future__ import annotations

import reflex as rx
from reflex.vars import Var, VarData
from reflex_base.utils.imports import ImportVar

from solo_app.ui import text
from solo_app.ui.components.batch_header import batch_header
from solo_app.ui.components.last_minute import last_minute
from solo_app.ui.components.latest_points import latest_points
from solo_app.ui.components.layout import page
from solo_app.ui.components.live_chart import live_chart
from solo_app.ui.components.log import log
from solo_app.ui.components.minute_chart import minute_chart
from solo_app.ui.components.not_found import invalid_id, unknown_batch
from solo_app.ui.components.runs import runs
from solo_app.ui.components.send_value import send_value
from solo_app.ui.components.source import source
from solo_app.ui.state.batch import BatchState

_route_id = Var(
    _js_expr="(routeParams.id ?? '')",
    _var_type=str,
    _var_data=VarData(
        imports={"react-router": [ImportVar(tag="useParams", install=False)]},
        hooks={"const routeParams = useParams();": None},
    ),
).to(str)
"""The batch id in the URL of the browser."""


def batch_page() -> rx.Component:
    """Return a skeleton until the state has the data of the batch in the URL."""
    return page(
        rx.cond(
            BatchState.batch_id == _route_id,
            rx.match(
                BatchState.kind,
                ("batch", _batch()),
                ("unknown", unknown_batch()),
                ("invalid", invalid_id()),
                _skeleton(),
            ),
            _skeleton(),
        ),
        location=_route_id,
        state=BatchState,
        status=BatchState.status,
    )


def _batch() -> rx.Component:
    return rx.fragment(
        batch_header(),
        rx.el.div(live_chart(), last_minute(), class_name="columns"),
        minute_chart(),
        rx.el.div(
            rx.el.div(log(), latest_points(), class_name="column"),
            rx.el.div(source(), send_value(), runs(), class_name="column"),
            class_name="columns",
        ),
    )


def _skeleton() -> rx.Component:
    """Return placeholders of the size of the content, so that the layout does not shift."""
    return rx.fragment(
        rx.el.div(
            rx.el.div(
                rx.el.h1(_route_id, class_name="id"),
                rx.el.div(rx.el.span(class_name="skeleton text"), class_name="description"),
                rx.el.p(rx.el.span(class_name="skeleton text"), class_name="status-line"),
                class_name="batch-title",
            ),
            rx.el.div(
                rx.el.div(rx.el.span(class_name="button skeleton"), class_name="buttons"),
                class_name="actions",
            ),
            class_name="page-header",
        ),
        rx.el.div(
            _placeholder(text.LATEST_VALUE, "live-chart"),
            _placeholder(text.LAST_FULL_MINUTE, "last-minute"),
            class_name="columns",
        ),
        _placeholder(text.PER_MINUTE, "minute-chart"),
        rx.el.div(
            rx.el.div(
                _placeholder(text.LOG, "log-card"),
                _placeholder(text.LATEST_POINTS, "latest-points"),
                class_name="column",
            ),
            rx.el.div(_placeholder(text.SOURCE_TITLE, "source-card"), class_name="column"),
            class_name="columns",
        ),
    )


def _placeholder(title: str, kind: str) -> rx.Component:
    return rx.el.section(
        rx.el.h2(title),
        rx.el.div(class_name="skeleton fill"),
        class_name=f"card skeleton-card {kind}",
    )
