"""Showing: every tick as long as somebody looks, and of what is seen only what changed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any

import reflex as rx
from reflex_base.constants.state import FIELD_MARKER
from reflex_base.event.context import EventContext

from solo_app.batches.live import Snapshot
from solo_app.batches.model import to_microseconds
from solo_app.ui.console import console, is_connected
from solo_app.ui.wire import Wire

logger = logging.getLogger(__name__)

View = dict[str, Any]
"""Values of a state's vars, by name."""

TICK = "tick"
"""The var of what changes all the time, in every state that has such."""


async def keep_showing(state: rx.State, view: Callable[[Snapshot], Awaitable[View]]) -> None:
    """Show now and at every tick, until cancelled. What fails once is tried at the next tick;
    how the app stands is told nevertheless, for that may be why.

    Only opening a page begins it: Reflex ends what that began when the tab is gone, but not
    what a client asked for directly.
    """
    context = EventContext.get()
    if context.parent_txid is None:
        return
    page = _Page(state, Wire(context))
    failing = False
    async with aclosing(console().ticker.ticks()) as ticks:
        async for snapshot in ticks:
            try:
                await page.tell(snapshot, view)
                failing = False
            except Exception:
                if not is_connected():
                    return
                if not failing:
                    logger.exception("a tick could not be shown; trying again at every tick")
                failing = True


class _Page:
    """What one tab was told, and the way to tell it more."""

    def __init__(self, state: rx.State, wire: Wire) -> None:
        self._state = state
        self._wire = wire
        self._shown: View = {}

    async def tell(self, snapshot: Snapshot, view: Callable[[Snapshot], Awaitable[View]]) -> None:
        """Tell what is new in a view. Raises what the view raises."""
        try:
            seen = await view(snapshot)
        except Exception:
            await self._show(snapshot, conditions(snapshot))
            raise
        await self._show(snapshot, conditions(snapshot) | seen)

    async def _show(self, snapshot: Snapshot, seen: View) -> None:
        shown = self._shown
        news = {n: v for n, v in seen.items() if n not in shown or shown[n] != v}
        if news.keys() == {TICK}:
            await self._send_tick(snapshot, news)
        else:
            await show(self._state, news)
        self._shown |= seen

    async def _send_tick(self, snapshot: Snapshot, news: View) -> None:
        """Send a tick past the state: setting it there would cost a third more than all the rest.

        A tab that loads anew is told everything anew, so nobody misses it there.
        """
        name = self._state.get_full_name()
        delta = {name: {var + FIELD_MARKER: value for var, value in news.items()}}
        # The same list goes to all who know the same; it is kept so that no other is taken for it.
        asked = ("packet", name, id(news[TICK]))
        if asked not in snapshot.shared:
            snapshot.shared[asked] = news[TICK], self._wire.packet(delta)
        _, packet = snapshot.shared[asked]
        await self._wire.send(delta, packet)


async def show(state: rx.State, view: View) -> None:
    """Set the vars whose value changed: one that is set again is sent again."""
    news = {name: value for name, value in view.items() if getattr(state, name) != value}
    if news:
        async with state:
            for name, value in news.items():
                setattr(state, name, value)


async def show_in(state: rx.State, other: type[rx.State], view: View) -> None:
    """Set vars of another state of the same tab; nothing when there is nothing to set."""
    if view:
        async with state:
            target = await state.get_state(other)
            for name, value in view.items():
                setattr(target, name, value)


def conditions(snapshot: Snapshot) -> View:
    """What every page has to tell about the app: slow ticks, a disk that takes nothing."""
    return {
        "slowed_to": snapshot.interval if snapshot.slowed else 0.0,
        "trouble": snapshot.totals.write_error or "",
        "unarchived": snapshot.totals.archive_error or "",
    }


def microseconds(moment: datetime | None) -> int | None:
    """A time as the browser takes it."""
    return None if moment is None else to_microseconds(moment)
