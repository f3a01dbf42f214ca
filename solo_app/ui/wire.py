"""The short way of a tick to its tab: straight onto the tab's websocket.

Reflex's own way leads through the rooms of socket.io and a queue of engine.io whose reader needs
a task and a timer for each message; together they cost more than all else about a tick. What
comes out at the tab is the same. Both protocols: https://socket.io/docs/v4/socket-io-protocol/
and https://socket.io/docs/v4/engine-io-protocol/.
"""

from __future__ import annotations

import asyncio
import json
import types
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from typing import Any

import reflex as rx
from reflex.constants import SocketEvent
from reflex_base.event.context import EventContext

_MESSAGE, _EVENT = "4", "2"
"""Kinds of packets: of engine.io and, within it, of socket.io."""

Delta = Mapping[str, Mapping[str, Any]]
"""The values of vars by the names of their states and their own."""

_encode = json.JSONEncoder(separators=(",", ":")).encode

_app: rx.App | None = None


def use_sockets_of(app: rx.App) -> None:
    """Let ticks go over the websockets of this app."""
    global _app
    _app = app


class Wire:
    """The way to the tab for which an event is dealt with, while it keeps its socket."""

    def __init__(self, context: EventContext) -> None:
        self._context = context
        self._namespace = _app.event_namespace if _app else None
        sids = self._namespace.token_to_sid if self._namespace else {}
        self._sid = sids.get(context.token)
        self._begun: _Begun | None = None

    def packet(self, delta: Delta) -> str:
        """What goes over a websocket to tell of a delta: the same to each tab."""
        namespace = self._namespace.namespace if self._namespace else ""
        event = _encode([str(SocketEvent.EVENT), {"delta": delta}])
        return f"{_MESSAGE}{_EVENT}{namespace},{event}"

    async def send(self, delta: Delta, packet: str) -> None:
        """Send a delta, of which this is the packet, once the one before is gone.

        A tab that takes nothing holds up the caller and nobody else. What went wrong with the one
        before is raised now, when this one is on its way.
        """
        begun, self._begun = self._begun, None
        lost: Exception | None = None
        try:
            if begun:
                await begun.rest()
        except Exception as error:
            lost = error
        await self._begin(delta, packet)
        if lost:
            raise lost

    async def _begin(self, delta: Delta, packet: str) -> None:
        environ = self._environ()
        if environ is None:
            await self._context.emit_delta(delta)
            return
        begun = _Begun(environ["asgi.send"]({"type": "websocket.send", "text": packet}))
        if begun.needs_the_loop:
            await begun.rest()
        else:
            self._begun = begun

    def _environ(self) -> dict[str, Any] | None:
        """What came with the websocket; None when it is gone and Reflex may know another."""
        if self._namespace is None or self._sid is None:
            return None
        server, name = self._namespace.server, self._namespace.namespace
        environ: dict[str, Any] | None = server.get_environ(self._sid, name)
        return environ


class _Begun:
    """A coroutine that is begun at once, and the rest of it awaited when that is wanted.

    Granian has a thread of its own send, which needs nobody who waits: whoever awaits it at once
    is woken by that thread, which costs a tenth of all that a tick does. Others (uvicorn) wait
    for room first, on the loop, and write then.
    """

    def __init__(self, coroutine: Coroutine[Any, None, None]) -> None:
        self._coroutine = coroutine
        self._waits_for: Any = None
        self._is_done = False
        self._go_on(coroutine.send, None)

    @property
    def needs_the_loop(self) -> bool:
        """Whether it only goes on when it is awaited."""
        is_foreign = hasattr(self._waits_for, "done") and not isinstance(
            self._waits_for, asyncio.Future
        )
        return not (self._is_done or is_foreign)

    @types.coroutine
    def rest(self) -> Generator[Any, None, None]:
        """Wait for its end. Raises what it raises."""
        while not self._is_done:
            is_over = getattr(self._waits_for, "done", None)
            try:
                if is_over is None or not is_over():
                    yield self._waits_for
            except BaseException as error:
                self._go_on(self._coroutine.throw, error)
            else:
                self._go_on(self._coroutine.send, None)

    def _go_on(self, step: Callable[[Any], Any], value: object) -> None:
        self._is_done = True  # However it ends.
        with suppress(StopIteration):
            self._waits_for = step(value)
            self._is_done = False
