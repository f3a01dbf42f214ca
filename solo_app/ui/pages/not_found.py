"""The page for a URL that does not exist."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import text
from solo_app.ui.components.layout import page
from solo_app.ui.components.not_found import notice


def not_found_page() -> rx.Component:
    return page(notice(text.PAGE_NOT_FOUND, text.PAGE_NOT_FOUND_ADVICE, None))
