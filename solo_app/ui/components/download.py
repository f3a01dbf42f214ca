"""Downloading a batch's points: which format, which time; then the browser fetches and saves.

The page's server has no part in it: ``assets/solo/download.js`` asks the API and tells how it goes.
"""

from __future__ import annotations

import reflex as rx

from solo_app.batches.model import FileFormat
from solo_app.ui import browser, strings
from solo_app.ui.state.batch import BatchState

_TIME = "download-time"


def download() -> rx.Component:
    """A button that opens the choice."""
    return rx.el.details(
        rx.el.summary(strings.DOWNLOAD, class_name="button small"),
        rx.el.div(
            *(_formats(), _times(), _between(), _deed(), _outcome()),
            tab_index=-1,  # A press on its words leaves the focus in it, and so the keys too.
            class_name="card panel",
        ),
        custom_attrs={
            "data-batch": BatchState.shown,
            "data-ended": BatchState.ended,
            "data-broken": strings.DOWNLOAD_BROKEN,
            "data-saved": strings.DOWNLOAD_SAVED,
            "onKeyDown": browser.function("closeByKey"),
            "onBlur": browser.function("closeOnLeaving"),
        },
        class_name="download",
    )


def _formats() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(strings.DOWNLOAD_FORMAT),
        *[
            rx.el.label(
                rx.el.input(
                    type="radio",
                    name="download-format",
                    value=str(file_format),
                    default_checked=file_format is FileFormat.CSV,
                ),
                strings.FILE_FORMATS[file_format],
            )
            for file_format in FileFormat
        ],
        class_name="formats",
    )


def _times() -> rx.Component:
    return rx.el.div(
        rx.el.label(strings.DOWNLOAD_TIME, html_for=_TIME),
        rx.el.select(
            *[
                rx.el.option(word, value=str(minutes))
                for minutes, word in strings.DOWNLOAD_TIMES.items()
            ],
            id=_TIME,
            class_name="field",
        ),
    )


def _between() -> rx.Component:
    """Two times of somebody's own; the stylesheet shows them when they are asked for."""
    return rx.el.div(
        *[
            rx.el.label(
                word,
                rx.el.input(
                    type="datetime-local", name=name, custom_attrs={"step": 1}, class_name="field"
                ),
            )
            for name, word in strings.DOWNLOAD_BETWEEN.items()
        ],
        class_name="between",
    )


def _deed() -> rx.Component:
    return rx.el.div(
        rx.el.button(
            strings.DOWNLOAD,
            type="button",
            custom_attrs={"onClick": browser.function("download")},
            class_name="button main",
        ),
        rx.el.button(
            strings.CANCEL,
            type="button",
            custom_attrs={"onClick": browser.function("cancelDownload")},
            class_name="button cancel",
        ),
        class_name="line",
    )


def _outcome() -> rx.Component:
    """Filled by ``assets/solo/download.js``: how far it is, and why it did not work."""
    return rx.fragment(
        rx.el.p(role="status", aria_live="polite", class_name="hint"),
        rx.el.p(role="alert", class_name="error"),
    )
