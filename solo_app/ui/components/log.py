"""The log of the batch: starts, ends, errors, restarts, and output of its source.

The stylesheet hides milliseconds on phones. There, the log is closed unless the batch has failed.
"""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.batches.models import LOG_LINES
from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.api_url import api_base
from solo_app.ui.components.copy_button import copy_button
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.state.batch import BatchState, LogState


def log() -> rx.Component:
    errors = fmt.count(LogState.error_count, "error", "errors")
    return rx.el.details(
        rx.el.summary(
            rx.el.h2(text.LOG),
            rx.cond(LogState.error_count > 0, rx.el.span(f" · {errors}", class_name="count")),
        ),
        rx.el.div(
            _filters(),
            rx.el.span(class_name="spacer"),
            copy_button(fmt.log_text(LogState.rows)),
            _download(),
            class_name="log-bar",
        ),
        _LogBox.create(
            rx.el.div(_beginning(), rx.foreach(LogState.rows, _line), class_name="lines"),
            lines=LogState.rows,
            label=text.LOG,
            new_lines=text.NEW_LINES,
        ),
        custom_attrs={"open": fmt.function("isLogOpen", "components").call(BatchState.status)},
        class_name="card log-card",
    )


def _filters() -> rx.Component:
    return rx.el.div(
        *[
            rx.el.button(
                label,
                " ",
                fmt.number(count),
                type="button",
                on_click=BatchState.filter_log(only_errors),  # type: ignore[operator]
                aria_pressed=BatchState.only_errors == only_errors,
            )
            for label, count, only_errors in (
                (text.ALL_LINES, LogState.line_count, False),
                (text.ERRORS, LogState.error_count, True),
            )
        ],
        role="group",
        aria_label=text.LOG_FILTER,
        class_name="segmented",
    )


def _download() -> rx.Component:
    return rx.el.a(
        text.DOWNLOAD,
        href=f"{api_base()}/batches/{BatchState.batch_id}/log",
        download=f"{BatchState.batch_id}-log.json",
        reload_document=True,  # Otherwise React Router handles the link.
        aria_label=text.DOWNLOAD_LOG,
        class_name="button small",
    )


def _beginning() -> rx.Component:
    """Return what precedes the first line."""
    earlier = rx.el.button(
        text.EARLIER_LINES.format(count=fmt.number(LogState.earlier_lines)),
        type="button",
        on_click=BatchState.show_earlier_lines,
        class_name="link",
    )
    cut = text.LOG_IS_CUT.format(count=fmt.number(LOG_LINES))
    empty = rx.cond(BatchState.only_errors, text.NO_ERRORS, text.LOG_IS_EMPTY)
    return rx.cond(
        LogState.earlier_lines > 0,
        rx.el.p(earlier),
        rx.cond(
            LogState.is_cut,
            rx.el.p(cut),
            rx.cond(LogState.rows.length() == 0, rx.el.p(empty)),
        ),
    )


def _line(line: Any) -> rx.Component:
    run = text.RUN.format(number=fmt.number(line["run"]))
    rule = rx.el.p(run, " · ", timestamp(line["t"], fmt.log_time(line["t"])), class_name="rule")
    return rx.el.div(
        rx.cond(line["starts_run"], rule),
        rx.el.p(
            timestamp(line["t"], _time(line["t"])),
            rx.match(
                line["level"],
                ("error", _sign("\N{MULTIPLICATION SIGN}", text.ERROR)),
                ("retry", _sign("↻", text.RETRY)),
                rx.el.span(),
            ),
            rx.el.span(line["text"]),
            class_name=f"line {line['level']}",
        ),
        key=line["number"],
    )


def _time(at: Any) -> rx.Component:
    milliseconds = rx.el.span(fmt.milliseconds(at), class_name="milliseconds")
    return rx.fragment(fmt.time(at), milliseconds)


def _sign(sign: str, meaning: str) -> rx.Component:
    return rx.el.span(sign, role="img", aria_label=meaning, class_name="sign")


class _LogBox(rx.Component):
    library = "$/public/components.js"
    tag = "LogBox"
    lines: rx.Var[list[dict[str, Any]]]
    label: rx.Var[str]
    new_lines: rx.Var[list[str]]
