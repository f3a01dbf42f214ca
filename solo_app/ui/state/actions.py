"""Actions to start and stop batches, and how a tab shows their results."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.catalog import check_batch_id
from solo_app.batches.errors import InvalidBatchIdError, InvalidConfigurationError, SoloError
from solo_app.batches.snapshots import Snapshot
from solo_app.ui import text
from solo_app.ui.state.live_updates import LiveState

DOUBLE_CLICK = 600
"""Milliseconds within which a repeated action is part of a double click."""

_TOAST_DURATION = 10_000

ToastButton = tuple[str, Any]
"""The label and the event of a button in a toast."""


class ActionState(LiveState, mixin=True):
    """A live page with actions. ``error`` is why the latest action failed, or empty."""

    error: str = ""
    _error_revision: float = math.inf

    async def _start(self, batch_id: object, **options: Any) -> SoloError | None:
        """Start a batch. Returns the error if this fails."""
        return await _run(partial(self.console.service.start, **options), batch_id)

    async def _stop(self, batch_id: object) -> SoloError | None:
        """Stop a batch; no effect if it has ended. Returns the error if this fails."""
        return await _run(self.console.service.stop, batch_id)

    async def _delete(self, batch_id: object) -> SoloError | None:
        """Delete an ended batch. Returns the error if this fails."""
        return await _run(self.console.service.delete, batch_id)

    async def _change_labels(self, batch_id: object, form: object) -> str:
        """Change the labels that are in a form. Returns the error, empty if it succeeds."""
        fields = form if isinstance(form, dict) else {}
        labels = {name: fields[name] for name in text.LABELS if isinstance(fields.get(name), str)}
        error = await _run(partial(self.console.service.change_labels, **labels), batch_id)
        if isinstance(error, InvalidConfigurationError):
            return " ".join(error.errors.values())
        return str(error or "")

    def _show_error(self, error: SoloError | None) -> None:
        """Show an error until a batch starts or ends or the viewer edits an invalid id."""
        self.error = str(error or "")
        expires = error and not isinstance(error, InvalidBatchIdError)
        self._error_revision = self.console.service.revision if expires else math.inf

    def _expire_error(self, snapshot: Snapshot) -> None:
        if snapshot.revision > self._error_revision:
            self._show_error(None)


def success_toast(text: str, undo: ToastButton, action: ToastButton | None = None) -> EventSpec:
    """Return a toast with a button to undo the action, and an optional second button."""
    events = {"cancel": undo, "action": action} if action else {"action": undo}
    buttons = {kind: {"label": label, "on_click": event} for kind, (label, event) in events.items()}
    return rx.toast.success(text, duration=_TOAST_DURATION, **buttons)


def deleted_toast(batch_id: str) -> EventSpec:
    """Return a toast that confirms that a batch has been deleted."""
    return rx.toast.success(text.DELETED.format(batch_id=batch_id), duration=_TOAST_DURATION)


def error_toast(error: SoloError) -> EventSpec:
    return rx.toast.error(str(error))


async def _run(action: Callable[[str], Awaitable[object]], batch_id: object) -> SoloError | None:
    """Run an action. Clients can send ids of any type."""
    text = batch_id if isinstance(batch_id, str) else ""
    try:
        check_batch_id(text)
        await action(text)
    except SoloError as error:
        return error
    return None
