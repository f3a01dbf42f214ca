"""The form that downloads the points of a batch: format and range, then a link to the API.

The browser shows the progress and can cancel. ``assets/input.js`` sets the query of the link on
click: relative ranges end then, and only the browser can convert times in the viewer's time zone.
"""

from __future__ import annotations

import reflex as rx

from solo_app.batches.models import FileFormat
from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.api_url import api_base
from solo_app.ui.state.batch import BatchState

_PANEL = "download"
_RANGE = "download-range"


def download() -> rx.Component:
    """Return the button and the form that it opens. Escape or a click elsewhere closes it."""
    return rx.fragment(
        rx.el.button(
            text.DOWNLOAD,
            type="button",
            custom_attrs={"popoverTarget": _PANEL},
            class_name="button small",
        ),
        rx.el.form(
            *(_formats(), _range(), _custom_range(), _link()),
            id=_PANEL,
            aria_label=text.DOWNLOAD,
            custom_attrs={
                "popover": "auto",
                "data-ended": BatchState.ended,
                "data-error": text.EMPTY_RANGE,
            },
            class_name="card",
        ),
    )


def _formats() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(text.DOWNLOAD_FORMAT),
        *[
            rx.el.label(
                rx.el.input(
                    type="radio",
                    name="format",
                    value=str(file_format),
                    default_checked=file_format is FileFormat.CSV,
                ),
                text.FILE_FORMATS[file_format],
            )
            for file_format in FileFormat
        ],
        class_name="formats",
    )


def _range() -> rx.Component:
    return rx.el.div(
        rx.el.label(text.RANGE, html_for=_RANGE),
        rx.el.select(
            *[
                rx.el.option(label, value=str(minutes))
                for minutes, label in text.DOWNLOAD_RANGES.items()
            ],
            id=_RANGE,
            name="minutes",
            class_name="field",
        ),
    )


def _custom_range() -> rx.Component:
    """Return the fields of a custom range. The stylesheet hides them for all other ranges."""
    return rx.el.div(
        *[
            rx.el.label(
                label,
                rx.el.input(
                    type="datetime-local", name=name, custom_attrs={"step": 1}, class_name="field"
                ),
            )
            for name, label in text.CUSTOM_RANGE.items()
        ],
        class_name="custom-range",
    )


def _link() -> rx.Component:
    return rx.el.a(
        text.DOWNLOAD,
        href=f"{api_base()}/batches/{BatchState.batch_id}/download",
        download=True,
        reload_document=True,  # Otherwise React Router handles the link.
        custom_attrs={"onClick": fmt.function("prepareDownload", "input")},
        class_name="button primary",
    )
