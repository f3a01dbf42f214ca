"""Tabs without a browser: Reflex's event processor, and a record of the updates it sends."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import reflex as rx
from reflex.event import Event
from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.token import BaseStateToken
from reflex.state import State
from reflex.utils.format import format_event_handler
from reflex_base.event.context import EventContext
from reflex_base.event.processor import BaseStateEventProcessor

from solo_app.batches.models import Clock, to_microseconds, utc_now
from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import Ticker
from solo_app.batches.storage import Storage
from solo_app.batches.timing import Timing
from solo_app.ui.console import Console
from solo_app.ui.state.batch import BatchState
from solo_app.ui.state.home import HomeState
from solo_app.ui.state.live_updates import LiveState
from tests.helpers.service import FAST_RETRY, FakeClock, Source, open_service, wait_until

BatchState.setup_dynamic_args({"id": "arg_single"})

TICK = 0.01
NEVER = 1e9
"""A tick longer than any test."""


class Tabs:
    """Open tabs by name, and the updates sent to each."""

    def __init__(self, service: BatchService, ticker: Ticker) -> None:
        self.service = service
        self.ticker = ticker
        self.deltas: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.events: defaultdict[str, list[Event]] = defaultdict(list)
        self.errors: list[Exception] = []
        self.manager = StateManagerMemory()  # type: ignore[abstract]
        self.processor = BaseStateEventProcessor(backend_exception_handler=self.errors.append)

    async def emit_update(self, update: Any, token: str) -> None:
        """Record an update instead of sending it."""
        if update.delta:
            self.deltas[token].append(update.delta)
        self.events[token].extend(update.events or [])

    def state_deltas(self, tab: str, state: type[rx.State]) -> list[dict[str, Any]]:
        """Return the changed vars of one state in each update, by name."""
        changes = [delta.get(state.get_full_name(), {}) for delta in self.deltas[tab]]
        return [
            {name.removesuffix("_rx_state_"): value for name, value in change.items()}
            for change in changes
        ]

    async def open(self, tab: str, batch_id: str | None = None) -> None:
        """Open ``/`` or the batch page in a tab, without live updates."""
        await (await self._send(tab, State, "hydrate", {}, _router_data(batch_id)))

    async def open_home_page(self, tab: str) -> Any:
        """Open the home page with live updates. Returns its state, with its first values."""
        await self.open(tab)
        await self.start_updates(tab, HomeState)
        state = await self.state(tab, HomeState)
        await wait_until(lambda: state.is_loaded)
        return state

    async def open_batch_page(self, tab: str, batch_id: str) -> Any:
        """Open a batch page with live updates. Returns its state, with its first values."""
        await self.open(tab, batch_id)
        await self.start_updates(tab, BatchState)
        state = await self.state(tab, BatchState)
        await wait_until(lambda: state.batch_id == batch_id)
        return state

    async def enqueue(self, tab: str, state: type[rx.State], handler: str, **payload: Any) -> Any:
        """Send an event. Returns a future that is done when the event has been processed."""
        return await self._send(tab, state, handler, payload, {})

    async def send(self, tab: str, state: type[rx.State], handler: str, **payload: Any) -> None:
        """Send an event, and wait until it has been processed."""
        await (await self.enqueue(tab, state, handler, **payload))

    async def start_updates(self, tab: str, state: type[rx.State]) -> Any:
        """Start the live updates of a tab, as Reflex does on page load.

        Returns a future that is done when they end.
        """
        event = Event(name=format_event_handler(state.event_handlers["stream_updates"]))
        page_load = EventContext.get().fork(token=tab)
        return await self.processor.enqueue(
            tab, event, dataclasses.replace(page_load, parent_txid="page_load")
        )

    async def state(self, tab: str, state: type[rx.State]) -> Any:
        """Return the current state of a tab."""
        root = await self.manager.get_state(BaseStateToken(ident=tab, cls=state))
        return await root.get_state(state)

    async def evict(self, tab: str, state: type[rx.State]) -> Any:
        """Drop all states, as Reflex does with expired ones. Returns the new state of a tab."""
        self.manager.states.clear()
        return await self.state(tab, state)

    async def ticks(self, count: int = 1) -> None:
        """Wait until every tab has processed this number of ticks."""
        async with aclosing(self.ticker.subscribe()) as ticks:
            for _ in range(count + 2):
                await anext(ticks)

    def sent_events(self, tab: str) -> str:
        """Return the events sent to a tab, as text."""
        return "\n".join(f"{event.name} {event.payload}" for event in self.events[tab])

    async def _send(
        self, tab: str, state: type[rx.State], handler: str, payload: Any, router: dict[str, Any]
    ) -> asyncio.Future[Any]:
        name = format_event_handler(state.event_handlers[handler])
        event = Event(name=name, payload=payload, router_data=router)
        return await self.processor.enqueue(tab, event)


async def sent_vars(
    tabs: Tabs, tab: str, state: type[rx.State], clock: FakeClock
) -> set[frozenset[str]]:
    """Advance the clock by three seconds. Returns the vars of one state in each update."""
    await tabs.ticks()  # The first update has been sent.
    sent = len(tabs.deltas[tab])
    values = await tabs.state(tab, state)
    for _ in range(3):
        clock.advance(seconds=1)
        now = to_microseconds(clock.now) // 1_000_000
        await wait_until(lambda now=now: values.server_time == now)  # type: ignore[misc]
    return {frozenset(delta) for delta in tabs.state_deltas(tab, state)[sent:]}


def _router_data(batch_id: str | None) -> dict[str, Any]:
    if batch_id is None:
        return {"pathname": "/", "asPath": "/", "query": {}}
    return {
        "pathname": "/batch/[id]",
        "asPath": f"/batch/{batch_id}",
        "query": {"id": batch_id},
    }


@asynccontextmanager
async def open_tabs(
    storage: Path | Storage,
    clock: Clock = utc_now,
    timing: Timing = FAST_RETRY,
    *,
    tick: float = TICK,
    **sources: Source,
) -> AsyncIterator[Tabs]:
    """Open a service, and yield tabs on it."""
    async with (
        open_service(storage, clock, False, timing, **sources) as service,
        tabs_on(service, tick) as tabs,
    ):
        yield tabs


@asynccontextmanager
async def tabs_on(service: BatchService, tick: float = TICK) -> AsyncIterator[Tabs]:
    """Yield tabs on a service. ``tick`` is in seconds."""
    console = LiveState.console = Console(tick=tick)
    console.connect(service)
    tabs = Tabs(service, console.ticker)
    async with tabs.processor.configure(
        state_manager=tabs.manager,
        event_namespace=tabs,  # type: ignore[arg-type]
    ):
        yield tabs
