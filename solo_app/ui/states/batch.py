"""The state of the page of one batch."""

from __future__ import annotations

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.live import Snapshot
from solo_app.ui import strings
from solo_app.ui.console import console
from solo_app.ui.states import acting
from solo_app.ui.states.home import told_stopped
from solo_app.ui.states.showing import View, conditions, keep_showing, show
from solo_app.ui.states.watch import Minute, RunRow, Watch


class BatchState(rx.State):
    """What a tab on ``/batch/{id}`` shows; all of it is about the batch that ``shown`` names.

    ``kind`` is ``batch``, ``unknown`` (never was one) or ``invalid`` (can be none).
    """

    shown: str = ""
    kind: str = ""
    why: str = ""
    title: str = strings.PRODUCT
    error: str = ""
    status: str = ""
    run_number: int = 0
    run_first_seq: int = 1
    run_seconds: int = 0
    ended: int | None = None
    reason: str = ""
    source: str = ""
    rate: float = 0.0
    next_in: int = 0
    last_seq: int = 0
    times: rx.Field[list[int]] = rx.field(default_factory=list)
    keys: rx.Field[list[float]] = rx.field(default_factory=list)
    minute: Minute = Minute(0, 0, None, 0.0, 0, None, None)
    minutes: rx.Field[list[list[float]]] = rx.field(default_factory=list)
    minutes_from: int = 0
    minutes_to: int = 0
    runs: rx.Field[list[RunRow]] = rx.field(default_factory=list)
    slowed_to: float = 0.0
    trouble: str = ""

    @rx.event(background=True, supersedes=True)
    async def live(self) -> None:
        """Keep the page up to date for as long as the tab shows it."""
        watch = Watch(console().service, self._batch_id())

        async def view(snapshot: Snapshot) -> View:
            return conditions(snapshot) | await watch.view(snapshot)

        await show(self, {"error": ""})
        await keep_showing(self, view)

    @rx.event(background=True)
    async def stop(self) -> list[EventSpec] | None:
        """Stop the batch and go back to all batches; one that ended already is as good."""
        batch_id = self._batch_id()
        error = await acting.stop(batch_id)
        await show(self, {"error": str(error or "")})
        return None if error else [rx.redirect("/"), told_stopped(batch_id)]

    @rx.event(background=True, throttle=600)
    async def start(self) -> None:
        """Start the batch, for the first time or again."""
        error = await acting.start(self._batch_id())
        await show(self, {"error": str(error or "")})

    def _batch_id(self) -> str:
        """What the address names; Reflex makes this var of the route."""
        asked = getattr(self, "id", "")
        return asked if isinstance(asked, str) else ""
