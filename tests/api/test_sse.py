"""Streams: every point once and in order, resumable, with keep-alive comments."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from solo_app.api import sse
from solo_app.batches.service import BatchService
from tests.api.requests import check_problem, produce
from tests.helpers.service import Harness, wait_until

pytestmark = pytest.mark.anyio


async def run_to_end(service: BatchService, batch_id: str) -> None:
    """Run a batch that produces five points and finishes."""
    await service.start(batch_id, "few")
    await wait_until(lambda: not service.running())


def event_ids(text: str) -> list[int]:
    return [int(seq) for seq in re.findall(r"^id: (\d+)$", text, re.M)]


async def test_stream_of_an_ended_batch_sends_points_then_the_end(
    client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await run_to_end(service, batch_id)
    response = await client.get(f"/stream/{batch_id}", headers={"Last-Event-ID": "3"})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in response.text.strip().split("\n\n")]
    assert events[0] == ["retry: 1000"]
    assert [event[0] for event in events[1:]] == ["id: 4", "id: 5", "event: end"]
    point = json.loads(events[1][1].removeprefix("data: "))
    assert point == {"seq": 4, "ts": "2012-11-11T10:11:10.000000Z", "data": {"key": 4}}
    assert json.loads(events[3][1].removeprefix("data: ")) == {"status": "finished"}


async def test_stream_of_an_ended_batch_without_new_points_is_empty(
    client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await run_to_end(service, batch_id)
    for query in ("", "?after=5", "?lastEventId=5", "?after=", "?lastEventId="):
        assert (await client.get(f"/stream/{batch_id}{query}")).status_code == 204
    response = await client.get(f"/stream/{batch_id}", headers={"Last-Event-ID": "5"})
    assert response.status_code == 204


@pytest.mark.parametrize(
    ("query", "header"),
    [
        ("", "3"),
        ("?lastEventId=3", None),
        ("?lastEventId=3&after=0", None),
        ("?after=3&lastEventId=", None),
        ("?after=3&lastEventId=", ""),
        ("?after=0&lastEventId=1", "3"),
        ("?after=&lastEventId=3&_=5", ""),
    ],
)
async def test_header_takes_precedence_and_empty_values_are_ignored(
    query: str, header: str | None, client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await run_to_end(service, batch_id)
    headers = {} if header is None else {"Last-Event-ID": header}
    response = await client.get(f"/stream/{batch_id}{query}", headers=headers)
    assert event_ids(response.text) == [4, 5]


async def test_seq_beyond_the_last_point_returns_409(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await harness.service.start(batch_id)
    await produce(harness, 1, 2)
    for has_ended in (False, True):
        if has_ended:
            await harness.service.stop(batch_id)
        for query, headers in [
            ("?after=3", {}),
            ("?lastEventId=250", {}),
            ("?after=1", {"Last-Event-ID": str(2**63 - 1)}),
        ]:
            response = await client.get(f"/stream/{batch_id}{query}", headers=headers)
            body = check_problem(response, 409)
            assert body["code"] == "seq-not-reached"
            assert "its last point is 2" in str(body["detail"])


async def test_head_of_a_stream_ends(
    client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    head = await client.head(f"/stream/{batch_id}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in head.headers
    assert (await client.head("/stream/unknown")).status_code == 404
    assert (await client.head(f"/stream/{batch_id}?after=100")).status_code == 409


@pytest.mark.parametrize("last_seq", [0, 10, 27, 49])
async def test_stream_resumes_from_the_archive(
    archive_client: httpx.AsyncClient, last_seq: int
) -> None:
    response = await archive_client.get("/stream/b", headers={"Last-Event-ID": str(last_seq)})
    assert event_ids(response.text) == list(range(last_seq + 1, 51))
    assert response.text.endswith('event: end\ndata: {"status": "stopped"}\n\n')


def test_keep_alive_interval_is_at_most_15_seconds() -> None:
    assert sse.KEEP_ALIVE_INTERVAL <= 15


async def test_comments_are_sent_without_points(harness: Harness, batch_id: str) -> None:
    await harness.service.start(batch_id)
    events = sse.events(harness.service, batch_id, 0, keep_alive_interval=0.001)
    assert (await anext(events)).startswith(b"retry: ")
    assert [await anext(events) for _ in range(2)] == [b": keep-alive\n\n"] * 2


async def test_comments_are_sent_between_points(harness: Harness, batch_id: str) -> None:
    await harness.service.start(batch_id)
    await produce(harness, 1)
    events = sse.events(harness.service, batch_id, 0, keep_alive_interval=0)
    received = [await anext(events) for _ in range(3)]
    assert received[1] == b": keep-alive\n\n"
    assert received[2].startswith(b"id: 1\n")
