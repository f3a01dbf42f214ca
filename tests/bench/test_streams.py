"""The events that a stream client parses."""

from __future__ import annotations

import pytest

pytest.importorskip("wsproto", reason="the benchmarks need requirements-dev.txt")

from bench.streams import StreamClient

pytestmark = pytest.mark.anyio

EVENT = b'id: 7\ndata: {"seq": 7, "ts": "1970-01-01T00:00:02.500000Z", "data": {"key": 1}}\n\n'


async def test_event_in_two_parts_is_received_once() -> None:
    client = StreamClient(8000, "b", "b")
    client.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + EVENT[:40])
    assert client.events == {}
    client.data_received(EVENT[40:])
    client.data_received(b": keep-alive\n\n")
    assert [(seq, created) for seq, (created, _) in client.events.items()] == [(7, 2.5)]
