"""Acting: what starting and stopping a batch looks like to the person who did it."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.catalog import check_batch_id
from solo_app.batches.errors import SoloError
from solo_app.ui.console import console

AT_ONCE = 600
"""Milliseconds within which the same again is the second half of a double click."""

_LONG = 10_000
"""Milliseconds that a toast with ways on stays."""


Way = tuple[str, Any]
"""The label of a button in a toast, and what it does."""


async def start(batch_id: object) -> SoloError | None:
    """Start a batch; the reason when it is refused."""
    try:
        await console().service.start(_checked(batch_id))
    except SoloError as error:
        return error
    return None


async def stop(batch_id: object) -> SoloError | None:
    """Stop a batch; the reason when it cannot be. One that ended before is no reason."""
    try:
        await console().service.stop(_checked(batch_id))
    except SoloError as error:
        return error
    return None


def told(text: str, back: Way, on: Way | None = None) -> EventSpec:
    """A toast that says what was done, long enough for its ways back and on to be taken."""
    ways = {"cancel": back, "action": on} if on else {"action": back}
    buttons = {kind: {"label": label, "on_click": then} for kind, (label, then) in ways.items()}
    return rx.toast.success(text, duration=_LONG, **buttons)


def refused(error: SoloError) -> EventSpec:
    """A toast that says why not."""
    return rx.toast.error(str(error))


def is_passed(refused_at: int) -> bool:
    """Whether a batch has started or ended since a refusal at that revision; -1: there is none."""
    return refused_at not in (-1, console().service.revision)


def _checked(batch_id: object) -> str:
    text = batch_id if isinstance(batch_id, str) else ""
    check_batch_id(text)
    return text
