"""The state of the first page: overall data, the form, the table of batches."""

from __future__ import annotations

import time
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.errors import BatchLimitReachedError, BatchRunningError
from solo_app.batches.live import Snapshot
from solo_app.ui import strings
from solo_app.ui.console import console
from solo_app.ui.states import acting
from solo_app.ui.states.overview import LONGEST_SEARCH, Choice, Overview, Row, Slot
from solo_app.ui.states.showing import View, keep_showing, show

FIELD = "batch-id"
"""The id of the field that names a new batch."""


class HomeState(rx.State):
    """What a tab on ``/`` shows. Its handlers are all that a client may ask for.

    Those that change something are temporal: what is clicked while the server is away is not
    done by surprise when it is back. ``tick`` is what changes all the time, in one list because
    names take more room than numbers: the moment it tells of (milliseconds), rows, rows per
    second, the second under way and what each of the latest brought, and the news of each
    ``Trend`` in the order of the slots. ``kept`` is what of the table the tab shows: it keeps
    that itself, for when the server has forgotten.
    """

    loaded: bool = False
    tick: rx.Field[list[Any]] = rx.field(default_factory=lambda: [0, 0, 0, 0, [], []])
    running: int = 0
    slots: rx.Field[list[Slot]] = rx.field(default_factory=list)
    rows: rx.Field[list[Row]] = rx.field(default_factory=list)
    free_name: str = ""
    title: str = f"{strings.BATCHES} · {strings.PRODUCT}"
    match_count: int = 0
    page_count: int = 1
    page_no: int = 0
    search: str = ""
    which: str = "all"
    kept: str = rx.SessionStorage("", name="solo-table")
    error: str = ""
    running_already: str = ""
    slowed_to: float = 0.0
    trouble: str = ""
    unarchived: str = ""
    lacks: str = ""
    _missed: bool = False
    _refused_at: int = -1
    _submitted: tuple[str, float] = ("", 0.0)

    @rx.event(background=True, supersedes=True)
    async def live(self) -> None:
        """Keep the page up to date for as long as the tab shows it."""
        overview = Overview(console().service)

        async def view(snapshot: Snapshot) -> View:
            if self._missed:
                overview.start_over()
                await show(self, {"_missed": False})
            choice = Choice(self.search, self.which, self.page_no)
            table = overview.table(snapshot, choice)
            if acting.is_passed(self._refused_at):
                await show(self, {"error": "", "running_already": "", "_refused_at": -1})
            return await overview.view(snapshot) | table

        choice = Choice.parse(self.kept)
        await show(self, {"search": choice.search, "which": choice.which, "page_no": choice.page})
        await show(self, {"error": "", "running_already": ""})
        await keep_showing(self, view)

    @rx.event(background=True, temporal=True)
    async def start(self, form: dict[str, Any]) -> list[EventSpec]:
        """Start the batch that the form names; a refusal leaves the form as it is."""
        named = form.get("batch_id") if isinstance(form, dict) else None
        batch_id = named.strip() if isinstance(named, str) else ""
        async with self:
            repeated = self._is_repeated(batch_id)
        if repeated:
            return []
        error = await acting.start(batch_id)
        already = batch_id if isinstance(error, BatchRunningError) else ""
        passes = isinstance(error, BatchRunningError | BatchLimitReachedError)
        refused_at = console().service.revision if passes else -1
        told = {"error": str(error or ""), "running_already": already, "_refused_at": refused_at}
        if error:  # The same again is answered again, however soon.
            told["_submitted"] = ("", 0.0)
        await show(self, told)
        if error:
            return [rx.set_focus(FIELD)]
        return [_cleared(batch_id), told_started(batch_id, _open(batch_id))]

    @rx.event(background=True, temporal=True)
    async def start_again(self, batch_id: str) -> EventSpec:
        """Start a batch that ended before."""
        error = await acting.start(batch_id)
        return acting.refused(error) if error else told_started(batch_id, _open(batch_id))

    @rx.event(background=True, temporal=True)
    async def stop(self, batch_id: str) -> EventSpec:
        """Stop a batch."""
        error = await acting.stop(batch_id)
        return acting.refused(error) if error else told_stopped(batch_id)

    @rx.event
    def forget_error(self) -> None:
        """Take back what was wrong with a name: another is being typed."""
        self.error = self.running_already = ""

    @rx.event
    def search_for(self, text: str) -> None:
        """Show the batches whose name holds this text."""
        if isinstance(text, str):
            self._turn(Choice(text.strip()[:LONGEST_SEARCH], self.which))

    @rx.event
    def show_only(self, which: str) -> None:
        """Show all batches, the running or the ended ones, or those of a status."""
        if isinstance(which, str) and which in strings.FILTERS:
            self._turn(Choice(self.search, which))

    @rx.event
    def turn_to(self, page: int) -> None:
        """Show another page of the table."""
        if isinstance(page, int) and page >= 0:
            self._turn(Choice(self.search, self.which, page))

    @rx.event
    def catch_up(self) -> None:
        """Tell the tab all lines whole again: it has missed something."""
        self._missed = True

    def _is_repeated(self, batch_id: str) -> bool:
        """Whether this is the second half of a double click: the same name, at once again."""
        now = time.monotonic()
        last_id, last_at = self._submitted
        self._submitted = (batch_id, now)
        return batch_id == last_id and now - last_at < acting.AT_ONCE / 1000

    def _turn(self, choice: Choice) -> None:
        """Show another part of the table, at once instead of at the next tick."""
        self.search, self.which, self.kept = choice.search, choice.which, str(choice)
        table = Overview(console().service).table(console().ticker.snapshot(), choice)
        for name, value in table.items():
            setattr(self, name, value)


def told_started(batch_id: str, way_on: acting.Way | None = None) -> EventSpec:
    """A toast that says so and offers to stop it, and a way on."""
    back = (strings.STOP, HomeState.stop(batch_id))  # type: ignore[misc]
    return acting.told(strings.started(batch_id), back, way_on)


def told_stopped(batch_id: str) -> EventSpec:
    """A toast that says so and offers to start it again."""
    again = HomeState.start_again(batch_id)  # type: ignore[misc]
    return acting.told(strings.stopped(batch_id), (strings.START_AGAIN, again))


def _open(batch_id: str) -> acting.Way:
    return strings.OPEN, rx.redirect(f"/batch/{batch_id}")


def _cleared(batch_id: str) -> EventSpec:
    """Empty the field, unless something else was typed meanwhile. The id is a checked one."""
    return rx.call_script(
        f"for (const f of document.querySelectorAll('#{FIELD}'))"
        f" if (f.value.trim() === '{batch_id}') f.value = ''"
    )
