"""The short way of ticks, on a real socket.io server that is spoken to as an ASGI server does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import socketio
from reflex_base.event.context import EventContext

from solo_app.ui import wire
from solo_app.ui.wire import Wire

pytestmark = pytest.mark.anyio

TOKEN = "tab"
DELTA = {"a.state": {"tick_rx_state_": [1.5, "é", None, [3, -4]]}}


class Namespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """Knows one tab by its token, as Reflex's namespace does."""

    def __init__(self) -> None:
        super().__init__("/_event")
        self.token_to_sid: dict[str, str] = {}

    def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        self.token_to_sid[TOKEN] = sid


class Foreign:
    """Like what Granian gives to await: no future of asyncio, but treated as one."""

    _asyncio_future_blocking = False

    def __init__(self, future: asyncio.Future[None]) -> None:
        self._future = future

    def __getattr__(self, name: str) -> Any:
        return getattr(self._future, name)

    def __await__(self) -> Generator[Any, None, None]:
        if not self._future.done():
            self._asyncio_future_blocking = True
            yield self
        self._future.result()


class Tab:
    """The far end of one websocket, and Reflex's own way to it."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.own_way: list[Any] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.carried: list[asyncio.Future[None]] | None = None
        self.ends: list[str] = []
        """How what was sent ended that did not end well."""

    async def emit_delta(self, token: str, delta: Any) -> None:
        assert token == TOKEN
        self.own_way.append(delta)

    @property
    def context(self) -> EventContext:
        """That of an event of this tab."""
        return EventContext(
            token=TOKEN,
            state_manager=SimpleNamespace(),  # type: ignore[arg-type]
            enqueue_impl=SimpleNamespace(),
            emit_delta_impl=self.emit_delta,
        )

    async def message(self) -> str:
        """The next that reaches the tab."""
        return await asyncio.wait_for(self.sent.get(), 5)

    async def take(self, message: dict[str, Any]) -> None:
        """What the server calls to send."""
        if message["type"] == "websocket.send":
            await self.takes.wait()
            await self.sent.put(message["text"])
            if self.carried is not None:
                self.carried.append(asyncio.Future())
                try:
                    await Foreign(self.carried[-1])
                except BaseException as error:
                    self.ends.append(type(error).__name__)
                    raise

    def carry_by_thread(self) -> list[asyncio.Future[None]]:
        """Have what is sent wait as with Granian; gives what it waits for, in order."""
        self.carried = []
        return self.carried


@asynccontextmanager
async def open_tab(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tab]:
    """A tab that is connected, on an app that has nothing but its sockets."""
    server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])
    namespace = Namespace()
    server.register_namespace(namespace)
    monkeypatch.setattr(wire, "_app", SimpleNamespace(event_namespace=namespace))
    tab = Tab(namespace)
    scope = {
        "type": "websocket",
        "path": "/socket.io/",
        "query_string": b"EIO=4&transport=websocket",
        "headers": [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")],
    }
    await tab.said.put({"type": "websocket.connect"})
    serving = asyncio.create_task(socketio.ASGIApp(server)(scope, tab.said.get, tab.take))
    assert (await tab.message()).startswith("0")
    await tab.said.put({"type": "websocket.receive", "text": "40/_event,"})
    assert (await tab.message()).startswith("40/_event,")
    try:
        yield tab
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await server.shutdown()


async def test_a_tick_is_the_message_that_socketio_would_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_tab(monkeypatch) as tab:
        await tab.namespace.emit("event", {"delta": DELTA}, to=tab.namespace.token_to_sid[TOKEN])
        its_way = await tab.message()
        way = Wire(tab.context)
        await way.send(DELTA, way.packet(DELTA))
        short_way = await tab.message()
        assert its_way[: its_way.index("[")] == short_way[: short_way.index("[")]
        assert json.loads(its_way[its_way.index("[") :]) == json.loads(
            short_way[short_way.index("[") :]
        )
        assert tab.own_way == []


async def test_a_tab_with_another_socket_gets_its_ticks_by_reflex(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_tab(monkeypatch) as tab:
        way = Wire(tab.context)
        await tab.said.put({"type": "websocket.receive", "text": "41/_event,"})
        await tab.said.put({"type": "websocket.disconnect"})
        server, sid = tab.namespace.server, tab.namespace.token_to_sid[TOKEN]
        while server.get_environ(sid, "/_event") is not None:  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0)
        await way.send(DELTA, way.packet(DELTA))
        assert tab.own_way == [DELTA]


async def test_a_tab_that_is_not_known_gets_its_ticks_by_reflex(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_tab(monkeypatch) as tab:
        tab.namespace.token_to_sid.clear()
        way = Wire(tab.context)
        await way.send(DELTA, way.packet(DELTA))
        assert tab.own_way == [DELTA]


async def test_a_tick_is_not_waited_for_but_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_tab(monkeypatch) as tab, asyncio.timeout(5):
        way, carried = Wire(tab.context), tab.carry_by_thread()
        await way.send(DELTA, "first")
        second = asyncio.create_task(way.send(DELTA, "second"))
        await asyncio.sleep(0.05)  # The claim is that nothing happens.
        assert (len(carried), second.done()) == (1, False)
        carried[0].set_result(None)
        await second
        assert [await tab.message(), await tab.message()] == ["first", "second"]


async def test_a_tick_that_only_goes_on_when_it_is_awaited_is_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_tab(monkeypatch) as tab, asyncio.timeout(5):
        way = Wire(tab.context)
        tab.takes.clear()
        sent = asyncio.create_task(way.send(DELTA, "first"))
        await asyncio.sleep(0.05)  # The claim is that nothing happens.
        assert not sent.done()
        tab.takes.set()
        await sent
        assert await tab.message() == "first"


@pytest.mark.parametrize("is_waited_for", [False, True])
async def test_what_went_wrong_on_the_way_is_told_once_and_the_next_is_sent(
    monkeypatch: pytest.MonkeyPatch, is_waited_for: bool
) -> None:
    async with open_tab(monkeypatch) as tab, asyncio.timeout(5):
        way, carried = Wire(tab.context), tab.carry_by_thread()
        await way.send(DELTA, "lost")
        if not is_waited_for:
            carried[0].set_exception(ConnectionError("gone"))
        second = asyncio.create_task(way.send(DELTA, "second"))
        await asyncio.sleep(0)
        if is_waited_for:
            carried[0].set_exception(ConnectionError("gone"))
        with pytest.raises(ConnectionError, match="gone"):
            await second
        carried[1].set_result(None)
        await way.send(DELTA, "third")
        assert [await tab.message() for _ in range(3)] == ["lost", "second", "third"]
        assert tab.ends == ["ConnectionError"]


async def test_a_tab_that_goes_while_it_waits_leaves_nothing_half_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_tab(monkeypatch) as tab, asyncio.timeout(5):
        way, carried = Wire(tab.context), tab.carry_by_thread()
        await way.send(DELTA, "first")
        second = asyncio.create_task(way.send(DELTA, "second"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert tab.ends == ["CancelledError"]
        assert len(carried) == 1
