"""The page for an address that leads nowhere."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import strings
from solo_app.ui.components.absent import notice
from solo_app.ui.components.frame import page


def lost_page() -> rx.Component:
    """What is wrong, and the way back."""
    return page(notice(strings.NO_SUCH_PAGE, strings.NO_SUCH_PAGE_ADVICE, None))
