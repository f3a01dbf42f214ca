"""Every request of the API and its exact response."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from solo_app.batches.errors import BatchRunningError
from solo_app.batches.models import format_number
from solo_app.batches.service import BatchService
from tests.helpers.api import create_client
from tests.helpers.service import FakeClock, ScriptedSource, open_harness, wait_until

pytestmark = pytest.mark.anyio

NOON = datetime(2012, 11, 11, 10, 10)


async def produce(
    service: BatchService, script: ScriptedSource, *keys: float, pause: float = 1
) -> None:
    """Make the scripted batch produce these keys from 10:10:00 on."""
    before = service.totals().row_count
    for n, key in enumerate(keys):
        script.emit(NOON + timedelta(seconds=n * pause), key)
    await wait_until(lambda: service.totals().row_count == before + len(keys))


async def test_overall(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness, create_client(harness.service) as client:
        empty = await client.get("/")
        assert empty.status_code == 200
        assert empty.json() == {
            "row_count": 0,
            "task_count": 0,
            "task_limit": 5,
            "rows_per_second": 0,
            "batch_count": 0,
            "write_error": None,
            "archive_error": None,
        }
        await client.post("/stream/b")
        await produce(harness.service, harness.script, 1, 2, 3)
        full = (await client.get("/")).json()
        assert (full["row_count"], full["task_count"], full["batch_count"]) == (3, 1, 1)


async def test_start(client: httpx.AsyncClient, batch_id: str) -> None:
    answer = await client.post(f"/stream/{batch_id}")
    assert answer.status_code == 201
    assert answer.json() == {"message": "Batch started", "batch_id": batch_id}
    assert answer.headers["location"] == f"/batches/{batch_id}"
    assert (await client.get(answer.headers["location"])).json()["status"] == "running"


async def test_start_of_a_running_batch(client: httpx.AsyncClient, batch_id: str) -> None:
    await client.post(f"/stream/{batch_id}")
    again = await client.post(f"/stream/{batch_id}", json={"source": "random"})
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert again.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": str(BatchRunningError(batch_id)),
        "code": "batch-running",
    }


async def test_start_of_a_sixth(client: httpx.AsyncClient) -> None:
    for n in range(5):
        assert (await client.post(f"/stream/any{n}")).status_code == 201
    refused = await client.post("/stream/sixth")
    assert refused.status_code == 429
    body = refused.json()
    assert (body["limit"], body["running"]) == (5, ["any0", "any1", "any2", "any3", "any4"])
    assert (await client.get("/batches/sixth")).status_code == 404


async def test_stop_and_another_run(
    client: httpx.AsyncClient, service: BatchService, script: ScriptedSource, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(service, script, 1, 2)
    for _ in range(2):  # It ended before the second time.
        stopped = await client.delete(f"/stream/{batch_id}")
        assert stopped.status_code == 200
        assert stopped.json() == {"message": "Batch stopped", "batch_id": batch_id}
    assert (await client.get(f"/batches/{batch_id}/points")).json()["points"][-1]["seq"] == 2
    assert (await client.post(f"/stream/{batch_id}")).status_code == 201
    batch = (await client.get(f"/batches/{batch_id}")).json()
    assert [run["status"] for run in batch["runs"]] == ["running", "stopped"]
    assert (await client.delete("/stream/nobody")).status_code == 404


async def test_tasks(
    client: httpx.AsyncClient,
    service: BatchService,
    script: ScriptedSource,
    clock: FakeClock,
    batch_id: str,
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(service, script, 1, 2.5)
    (task,) = (await client.get("/tasks")).json()["tasks"]
    assert task.pop("rows_per_second") >= 0
    assert task == {
        "batch_id": batch_id,
        "status": "running",
        "source": "random",
        "run": 1,
        "started_at": "2012-11-11T10:11:10Z",
        "row_count": 2,
        "latest": {"seq": 2, "ts": "2012-11-11T10:10:01.000000Z", "data": {"key": 2.5}},
    }
    await client.delete(f"/stream/{batch_id}")
    assert (await client.get("/tasks")).json() == {"tasks": []}


async def test_aggregate_of_the_last_whole_minute(
    client: httpx.AsyncClient,
    service: BatchService,
    script: ScriptedSource,
    clock: FakeClock,
    batch_id: str,
) -> None:
    await client.post(f"/stream/{batch_id}")
    assert (await client.get(f"/agg/{batch_id}")).json() == {
        "batch_id": batch_id,
        "from": "2012-11-11T10:10:00Z",
        "to": "2012-11-11T10:11:00Z",
        "average": None,
        "sum": 0,
        "count": 0,
    }
    await produce(service, script, *range(1, 62))
    clock.set("2012-11-11 10:11:10")
    now = (await client.get(f"/agg/{batch_id}")).json()
    assert (now["average"], now["sum"], now["count"]) == (30.5, 1830, 60)
    for same in (
        "2012-11-11T10:11:10Z",
        "2012-11-11T12:11:59.9+02:00",
        "2012-11-11T12:11:59 02:00",
        "2012-11-11 12:11:59+0200",
        "2012-11-11T12:11:59,25+02",
        "2012-11-11T10:11:00",
        "2012-11-11 10:11",
    ):
        assert (await client.get(f"/agg/{batch_id}", params={"at": same})).json() == now
    later = (await client.get(f"/agg/{batch_id}", params={"at": "2012-11-11T10:12:00Z"})).json()
    assert (later["from"], later["sum"], later["count"]) == ("2012-11-11T10:11:00Z", 61, 1)


async def test_batches_are_paged_newest_first(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness, create_client(harness.service) as client:
        for n in range(5):
            harness.clock.advance(seconds=1)
            await client.post(f"/stream/b{n}")
        await client.delete("/stream/b3")
        seen, address = [], "/batches?limit=2"
        while address:
            page = (await client.get(address)).json()
            assert page["total"] == 5
            seen += [batch["batch_id"] for batch in page["batches"]]
            address = page["next"]
        assert seen == ["b4", "b3", "b2", "b1", "b0"]
        stopped = (await client.get("/batches", params={"status": "stopped"})).json()
        assert [batch["batch_id"] for batch in stopped["batches"]] == ["b3"]
        assert stopped["batches"][0]["ended_at"] == "2012-11-11T10:11:15Z"


async def test_runs_are_paged_newest_first(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness, create_client(harness.service) as client:
        for _ in range(13):
            await client.post("/stream/b")
            await client.delete("/stream/b")
        latest = (await client.get("/batches/b")).json()["runs"]
        assert [run["run"] for run in latest] == list(range(13, 3, -1))
        seen, address = [], "/batches/b/runs?limit=5"
        while address:
            page = (await client.get(address)).json()
            assert (page["batch_id"], page["total"]) == ("b", 13)
            seen += page["runs"]
            address = page["next"]
        assert [run["run"] for run in seen] == list(range(13, 0, -1))
        assert seen[:10] == latest
        assert seen[0] == {
            "run": 13,
            "status": "stopped",
            "source": "random",
            "started_at": "2012-11-11T10:11:10Z",
            "ended_at": "2012-11-11T10:11:10Z",
            "first_seq": 1,
            "last_seq": 0,
            "reason": None,
        }
        assert (await client.get("/batches/b/runs?offset=13")).json()["runs"] == []


async def test_reason_of_a_failed_batch_is_stored(
    client: httpx.AsyncClient, service: BatchService, script: ScriptedSource, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    script.fail(RuntimeError("no luck"))
    await wait_until(lambda: not service.running())
    batch = (await client.get(f"/batches/{batch_id}")).json()
    assert (batch["status"], batch["reason"]) == ("failed", "RuntimeError: no luck")
    assert batch["runs"][0]["reason"] == "RuntimeError: no luck"


async def test_points_are_paged_in_order(
    client: httpx.AsyncClient, service: BatchService, script: ScriptedSource, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(service, script, *range(10), pause=0.25)
    seen, address = [], f"/batches/{batch_id}/points?limit=4"
    while address:
        page = (await client.get(address)).json()
        seen += page["points"]
        address = page["next"]
    assert [point["seq"] for point in seen] == list(range(1, 11))
    assert seen[1] == {"seq": 2, "ts": "2012-11-11T10:10:00.250000Z", "data": {"key": 1}}
    assert (await client.get(f"/batches/{batch_id}/points?after=10")).json()["points"] == []


async def test_minutes(
    client: httpx.AsyncClient,
    service: BatchService,
    script: ScriptedSource,
    clock: FakeClock,
    batch_id: str,
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(service, script, 1, 2, 6, pause=59)
    clock.set("2012-11-11 10:13:30")
    answer = (await client.get(f"/batches/{batch_id}/minutes")).json()
    assert (answer["from"], answer["to"]) == ("2012-11-11T09:13:00Z", "2012-11-11T10:13:00Z")
    assert answer["minutes"] == [
        {
            "minute": "2012-11-11T10:10:00Z",
            "count": 2,
            "sum": 3,
            "average": 1.5,
            "min": 1,
            "max": 2,
        },
        {"minute": "2012-11-11T10:11:00Z", "count": 1, "sum": 6, "average": 6, "min": 6, "max": 6},
    ]
    only = await client.get(
        f"/batches/{batch_id}/minutes",
        params={"from": "2012-11-11T10:11Z", "to": "2012-11-11T10:12:59Z"},
    )
    assert [m["minute"] for m in only.json()["minutes"]] == ["2012-11-11T10:11:00Z"]


async def test_unknown_batch_is_not_found(client: httpx.AsyncClient) -> None:
    for path in (
        "/stream/x",
        "/agg/x",
        "/batches/x",
        *(f"/batches/x/{name}" for name in ("runs", "points", "minutes", "download")),
    ):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["code"] == "batch-not-found"
        assert answer.headers["content-type"] == "application/problem+json"


async def test_get_and_head_change_nothing(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    before = service.batches()
    for path in ("/", "/tasks", "/batches", "/stream/x", "/agg/x", "/batches/x", "/batch/x"):
        await client.get(path)
        await client.head(path)
    assert service.batches() == before


async def test_stream_of_an_ended_batch_sends_the_remaining_points_and_the_end(
    client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id, "few")
    await wait_until(lambda: not service.running())
    answer = await client.get(f"/stream/{batch_id}", headers={"Last-Event-ID": "3"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
    assert events[0] == ["retry: 1000"]
    assert [event[0] for event in events[1:]] == ["id: 4", "id: 5", "event: end"]
    point = json.loads(events[1][1].removeprefix("data: "))
    assert point == {"seq": 4, "ts": "2012-11-11T10:11:10.000000Z", "data": {"key": 4}}
    assert json.loads(events[3][1].removeprefix("data: ")) == {"status": "finished"}


async def test_header_precedes_query_and_empty_positions_are_ignored(
    client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id, "few")
    await wait_until(lambda: not service.running())
    rest = (await client.get(f"/stream/{batch_id}?after=3")).text
    assert "id: 4\n" in rest
    for query, header in [
        ("", "3"),
        ("?lastEventId=3", None),
        ("?lastEventId=3&after=0", None),
        ("?after=3&lastEventId=", None),
        ("?after=3&lastEventId=", ""),
        ("?after=0&lastEventId=1", "3"),
        ("?after=&lastEventId=3&_=5", ""),
    ]:
        headers = {} if header is None else {"Last-Event-ID": header}
        answer = await client.get(f"/stream/{batch_id}{query}", headers=headers)
        assert answer.text == rest, (query, header)
    for query in ("?after=", "?lastEventId="):  # Only new points, and the batch has ended.
        assert (await client.get(f"/stream/{batch_id}{query}")).status_code == 204


async def test_position_beyond_the_last_point_is_a_conflict(
    client: httpx.AsyncClient, service: BatchService, script: ScriptedSource, batch_id: str
) -> None:
    await service.start(batch_id)
    await produce(service, script, 1, 2)
    for ended in (False, True):
        if ended:
            await service.stop(batch_id)
        for query, headers in [
            ("?after=3", {}),
            ("?lastEventId=250", {}),
            ("?after=1", {"Last-Event-ID": str(2**63 - 1)}),
        ]:
            answer = await client.get(f"/stream/{batch_id}{query}", headers=headers)
            assert answer.status_code == 409
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "seq-not-reached"
            assert "its last point is 2" in answer.json()["detail"]


KEYS = [1.0, -0.0, 0.1 + 0.2, -2.5, 1e300, 5e-324, 1.5e-9, 1e-5, 2.0**49, -1e15, 1e15, 1e16]


async def test_numbers_have_the_same_format_everywhere(
    client: httpx.AsyncClient, service: BatchService, script: ScriptedSource, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    for n, key in enumerate(KEYS, 1):
        await produce(service, script, key)
        text = format_number(key)
        assert f'"key":{text}}}' in (await client.get("/tasks")).text
        page = await client.get(f"/batches/{batch_id}/points?after={n - 1}")
        assert f'"key": {text}}}' in page.text
    await client.delete(f"/stream/{batch_id}")
    texts = [format_number(key) for key in KEYS]
    stream = (await client.get(f"/stream/{batch_id}?after=0")).text
    assert re.findall(r'"key": ([^}]+)}', stream) == texts
    csv = (await client.get(f"/batches/{batch_id}/download")).text
    assert [line.split(",")[2] for line in csv.splitlines()[1:]] == texts
    file = (await client.get(f"/batches/{batch_id}/download?format=json")).text
    assert re.findall(r'"key":([^}]+)}', file) == texts


@pytest.mark.parametrize("key", [KEYS[1], *KEYS[4:]])
async def test_aggregates_have_the_number_format_of_points(
    key: float,
    client: httpx.AsyncClient,
    service: BatchService,
    script: ScriptedSource,
    clock: FakeClock,
    batch_id: str,
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(service, script, key)
    clock.set("2012-11-11 10:11:10")
    text = format_number(key + 0.0)
    answer = (await client.get(f"/agg/{batch_id}")).text
    assert f'"average":{text},"sum":{text},' in answer
    minute = (await client.get(f"/batches/{batch_id}/minutes")).text
    assert f'"sum":{text},"average":{text},"min":{text},"max":{text}' in minute


async def test_sum_beyond_the_range_of_a_double_is_null(
    client: httpx.AsyncClient,
    service: BatchService,
    script: ScriptedSource,
    clock: FakeClock,
    batch_id: str,
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(service, script, 1e308, 1e308)
    clock.set("2012-11-11 10:11:10")
    answer = (await client.get(f"/agg/{batch_id}")).json()
    assert (answer["sum"], answer["average"], answer["count"]) == (None, None, 2)


async def test_stream_of_an_ended_batch_without_new_points_is_204(
    client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id, "few")
    await wait_until(lambda: not service.running())
    assert (
        await client.get(f"/stream/{batch_id}", headers={"Last-Event-ID": "5"})
    ).status_code == 204
    assert (await client.get(f"/stream/{batch_id}?after=5")).status_code == 204
    assert (await client.get(f"/stream/{batch_id}")).status_code == 204


async def test_request_before_the_service_is_open_is_503() -> None:
    async with create_client(None) as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert answer.json()["title"] == "Service Unavailable"
