"""Requests of the API and their exact responses."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from solo_app.batches.errors import BatchRunningError
from solo_app.batches.service import BatchService
from solo_app.batches.timing import Timing
from tests.api.requests import check_problem, produce, read_pages
from tests.helpers.api import create_client
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import Harness, counting, open_harness, open_service, wait_until

pytestmark = pytest.mark.anyio


async def test_totals_count_points_and_batches() -> None:
    async with open_harness(MemoryStorage()) as harness, create_client(harness.service) as client:
        assert (await client.get("/")).json() == {
            "row_count": 0,
            "task_count": 0,
            "task_limit": 5,
            "rows_per_second": 0,
            "batch_count": 0,
            "write_error": None,
            "archive_error": None,
        }
        await client.post("/stream/b")
        await produce(harness, 1, 2, 3)
        totals = (await client.get("/")).json()
        assert (totals["row_count"], totals["task_count"], totals["batch_count"]) == (3, 1, 1)


async def test_start_returns_the_location_of_the_batch(
    client: httpx.AsyncClient, batch_id: str
) -> None:
    response = await client.post(f"/stream/{batch_id}")
    assert response.status_code == 201
    assert response.json() == {"message": "Batch started", "batch_id": batch_id}
    assert response.headers["location"] == f"/batches/{batch_id}"
    assert (await client.get(response.headers["location"])).json()["status"] == "running"


async def test_starting_a_running_batch_returns_409(
    client: httpx.AsyncClient, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    response = await client.post(f"/stream/{batch_id}", json={"source": "random"})
    assert check_problem(response, 409) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": str(BatchRunningError(batch_id)),
        "code": "batch-running",
    }


async def test_sixth_batch_is_refused(client: httpx.AsyncClient) -> None:
    ids = [f"any{n}" for n in range(5)]
    for batch_id in ids:
        assert (await client.post(f"/stream/{batch_id}")).status_code == 201
    body = check_problem(await client.post("/stream/sixth"), 429)
    assert (body["limit"], body["running"]) == (5, ids)
    assert (await client.get("/batches/sixth")).status_code == 404


async def test_stop_commits_all_points_and_can_be_repeated(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, 1, 2)
    for _ in range(2):
        response = await client.delete(f"/stream/{batch_id}")
        assert response.status_code == 200
        assert response.json() == {"message": "Batch stopped", "batch_id": batch_id}
    assert (await client.get(f"/batches/{batch_id}/points")).json()["points"][-1]["seq"] == 2
    assert (await client.delete("/stream/unknown")).status_code == 404


async def test_stopped_batch_can_be_started_again(client: httpx.AsyncClient, batch_id: str) -> None:
    for request in ("POST", "DELETE", "POST"):
        await client.request(request, f"/stream/{batch_id}")
    batch = (await client.get(f"/batches/{batch_id}")).json()
    assert [run["status"] for run in batch["runs"]] == ["running", "stopped"]


async def test_only_an_ended_batch_is_deleted(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, 1, 2)
    rows = (await client.get("/")).json()["row_count"]
    body = check_problem(await client.delete(f"/batches/{batch_id}"), 409)
    assert body["code"] == "batch-not-ended"
    assert body["detail"] == f"{batch_id} is running. Stop it to delete it."
    await client.delete(f"/stream/{batch_id}")
    check_problem(await client.delete(f"/batches/{batch_id}?force=true"), 422)
    response = await client.delete(f"/batches/{batch_id}")
    assert (response.status_code, response.content) == (204, b"")
    check_problem(await client.delete(f"/batches/{batch_id}"), 404)
    check_problem(await client.get(f"/batches/{batch_id}"), 404)
    assert (await client.get("/")).json()["row_count"] == rows - 2
    assert batch_id not in (await client.get("/batches?limit=1000")).text


async def test_failed_deletion_returns_503() -> None:
    storage = MemoryStorage()
    async with open_service(storage, few=counting(3)) as service, create_client(service) as client:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        storage.changes.fail("no room")
        problem = check_problem(await client.delete("/batches/b"), 503)
        assert "no room" in str(problem["detail"])
        assert (await client.get("/batches/b")).json()["row_count"] == 3


async def test_failing_writes_return_503() -> None:
    storage, timing = MemoryStorage(), Timing(retry_interval=0.01, stop_grace_period=0.1)
    async with open_service(storage, timing=timing) as service, create_client(service) as client:
        await service.start("b")
        storage.writes.fail("no room")
        await wait_until(lambda: service.totals().write_error)
        assert "no room" in str(check_problem(await client.delete("/stream/b"), 503)["detail"])
        assert "no room" in (await client.get("/")).json()["write_error"]
        storage.writes.open()


async def test_tasks_lists_the_running_batches(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, 1, 2.5)
    (task,) = (await client.get("/tasks")).json()["tasks"]
    assert task.pop("rows_per_second") >= 0
    assert task == {
        "batch_id": batch_id,
        "unit": "",
        "description": "",
        "status": "running",
        "source": "random",
        "parameters": {},
        "restart": "never",
        "run": 1,
        "started_at": "2012-11-11T10:11:10Z",
        "row_count": 2,
        "retry": None,
        "latest": {"seq": 2, "ts": "2012-11-11T10:10:01.000000Z", "data": {"key": 2.5}},
    }
    await client.delete(f"/stream/{batch_id}")
    assert (await client.get("/tasks")).json() == {"tasks": []}


async def test_aggregate_without_points_is_null(client: httpx.AsyncClient, batch_id: str) -> None:
    await client.post(f"/stream/{batch_id}")
    assert (await client.get(f"/agg/{batch_id}")).json() == {
        "batch_id": batch_id,
        "from": "2012-11-11T10:10:00Z",
        "to": "2012-11-11T10:11:00Z",
        "average": None,
        "sum": 0,
        "count": 0,
    }


async def test_aggregate_covers_the_last_full_minute(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, *range(1, 62))
    harness.clock.set("2012-11-11 10:11:10")
    now = (await client.get(f"/agg/{batch_id}")).json()
    assert (now["average"], now["sum"], now["count"]) == (30.5, 1830, 60)
    for at in (
        "2012-11-11T10:11:10Z",
        "2012-11-11T12:11:59.9+02:00",
        "2012-11-11T12:11:59 02:00",
        "2012-11-11 12:11:59+0200",
        "2012-11-11T12:11:59,25+02",
        "2012-11-11T10:11:00",
        "2012-11-11 10:11",
    ):
        assert (await client.get(f"/agg/{batch_id}", params={"at": at})).json() == now
    later = (await client.get(f"/agg/{batch_id}", params={"at": "2012-11-11T10:12:00Z"})).json()
    assert (later["from"], later["sum"], later["count"]) == ("2012-11-11T10:11:00Z", 61, 1)


async def test_batches_are_paged_newest_first() -> None:
    async with open_harness(MemoryStorage()) as harness, create_client(harness.service) as client:
        for n in range(5):
            harness.clock.advance(seconds=1)
            await client.post(f"/stream/b{n}")
        await client.delete("/stream/b3")
        batches = await read_pages(client, "/batches?limit=2", "batches")
        assert [batch["batch_id"] for batch in batches] == ["b4", "b3", "b2", "b1", "b0"]
        stopped = (await client.get("/batches?status=stopped")).json()
        assert stopped["total"] == 1
        (batch,) = stopped["batches"]
        assert (batch["batch_id"], batch["ended_at"]) == ("b3", "2012-11-11T10:11:15Z")


async def test_runs_are_paged_newest_first() -> None:
    async with open_harness(MemoryStorage()) as harness, create_client(harness.service) as client:
        for _ in range(13):
            await harness.service.start("b")
            await harness.service.stop("b")
        runs = await read_pages(client, "/batches/b/runs?limit=5", "runs")
        assert [run["run"] for run in runs] == list(range(13, 0, -1))
        assert (await client.get("/batches/b")).json()["runs"] == runs[:10]
        assert runs[0] == {
            "run": 13,
            "status": "stopped",
            "source": "random",
            "parameters": {},
            "restart": "never",
            "started_at": "2012-11-11T10:11:10Z",
            "ended_at": "2012-11-11T10:11:10Z",
            "first_seq": 1,
            "last_seq": 0,
            "reason": None,
        }
        beyond = (await client.get("/batches/b/runs?offset=13")).json()
        assert beyond == {"batch_id": "b", "runs": [], "total": 13, "next": None}


async def test_waiting_batch_has_its_next_restart(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}", json={"restart": "on-failure"})
    harness.script.fail(RuntimeError("no luck"))
    (producer,) = harness.service.producers()
    await wait_until(lambda: producer.retry)
    retry = {"attempt": 1, "next_at": "2012-11-11T10:11:11Z", "error": "RuntimeError: no luck"}
    (task,) = (await client.get("/tasks")).json()["tasks"]
    batch = (await client.get(f"/batches/{batch_id}")).json()
    assert task["retry"] == batch["retry"] == retry
    assert (batch["status"], batch["reason"]) == ("running", None)
    await client.delete(f"/stream/{batch_id}")
    assert (await client.get(f"/batches/{batch_id}")).json()["retry"] is None


async def test_log_has_the_latest_lines(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    harness.script.fail(RuntimeError("no luck"))
    await wait_until(lambda: not harness.service.running())
    log = (await client.get(f"/batches/{batch_id}/log")).json()
    error = {
        "number": 2,
        "ts": "2012-11-11T10:11:10.000000Z",
        "run": 1,
        "level": "error",
        "text": "RuntimeError: no luck",
    }
    assert log["batch_id"] == batch_id
    assert [line["number"] for line in log["lines"]] == [1, 2]
    assert log["lines"][1] == error
    for query in ("after=1", "limit=1"):
        latest = (await client.get(f"/batches/{batch_id}/log?{query}")).json()
        assert latest["lines"] == [error]
    assert (await client.get(f"/batches/{batch_id}/log?after=2")).json()["lines"] == []


async def test_failed_batch_has_a_reason(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    harness.script.fail(RuntimeError("no luck"))
    await wait_until(lambda: not harness.service.running())
    batch = (await client.get(f"/batches/{batch_id}")).json()
    assert (batch["status"], batch["reason"]) == ("failed", "RuntimeError: no luck")
    assert batch["runs"][0]["reason"] == "RuntimeError: no luck"


async def test_points_are_paged_in_order(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, *range(10), interval=0.25)
    points = await read_pages(client, f"/batches/{batch_id}/points?limit=4", "points")
    assert [point["seq"] for point in points] == list(range(1, 11))
    assert points[1] == {"seq": 2, "ts": "2012-11-11T10:10:00.250000Z", "data": {"key": 1}}
    assert (await client.get(f"/batches/{batch_id}/points?after=10")).json()["points"] == []


async def test_points_are_paged_from_the_archive_to_the_database(
    archive_client: httpx.AsyncClient,
) -> None:
    points = await read_pages(archive_client, "/batches/b/points?limit=7", "points")
    assert [point["seq"] for point in points] == list(range(1, 51))


async def test_missing_archive_file_is_named(
    archive_client: httpx.AsyncClient, archived_database: Path, tmp_path: Path
) -> None:
    (file,) = archived_database.with_name("solo.duckdb.archive").iterdir()
    moved = file.rename(tmp_path / file.name)
    for path in ("/batches/b/points", "/stream/b?after=3", "/batches/b/download"):
        assert file.name in str(check_problem(await archive_client.get(path), 503)["detail"])
    # The other points remain available.
    for path in ("/batches/b/points?after=27", "/stream/b?after=48"):
        assert (await archive_client.get(path)).status_code == 200
    moved.rename(file)


async def test_minutes_default_to_the_last_hour(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, 1, 2, 6, interval=59)
    harness.clock.set("2012-11-11 10:13:30")
    hour = (await client.get(f"/batches/{batch_id}/minutes")).json()
    assert (hour["from"], hour["to"]) == ("2012-11-11T09:13:00Z", "2012-11-11T10:13:00Z")
    first = {"minute": "2012-11-11T10:10:00Z", "count": 2, "sum": 3, "average": 1.5}
    second = {"minute": "2012-11-11T10:11:00Z", "count": 1, "sum": 6, "average": 6}
    assert hour["minutes"] == [
        {**first, "min": 1, "max": 2},
        {**second, "min": 6, "max": 6},
    ]
    window = {"from": "2012-11-11T10:11Z", "to": "2012-11-11T10:12:59Z"}
    found = (await client.get(f"/batches/{batch_id}/minutes", params=window)).json()
    assert [minute["minute"] for minute in found["minutes"]] == ["2012-11-11T10:11:00Z"]


async def test_unknown_batch_is_not_found(client: httpx.AsyncClient) -> None:
    names = ("runs", "points", "minutes", "download")
    paths = ("/stream/x", "/agg/x", "/agg/x?at=0001-01-01T00:00:30Z", "/batches/x")
    for path in (*paths, *(f"/batches/x/{name}" for name in names)):
        assert check_problem(await client.get(path), 404)["code"] == "batch-not-found"


async def test_get_and_head_change_nothing(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    before = service.batches()
    for path in ("/", "/tasks", "/batches", "/stream/x", "/agg/x", "/batches/x", "/batch/x"):
        await client.get(path)
        await client.head(path)
    assert service.batches() == before
