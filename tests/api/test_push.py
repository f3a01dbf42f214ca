"""Pushed points: JSON and NDJSON bodies, their errors, and idempotency keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from solo_app.api.bodies import MAX_BODY_BYTES, MAX_LARGE_BODIES, BodyError, BodyReader
from solo_app.api.gateway import MAX_PUSH_BYTES
from solo_app.api.push import MAX_LINE_BYTES, NDJSON
from solo_app.batches.ingest import BUFFER_POINTS
from solo_app.batches.models import BatchStatus
from solo_app.batches.push import MAX_POINTS
from solo_app.batches.service import BatchService
from solo_app.batches.timing import Timing
from tests.api.requests import check_problem
from tests.helpers.api import create_client, create_gateway
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio

JSON_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "application/x-www-form-urlencoded",
    None,
]

BODIES = {
    b"21.5": [21.5],
    b" 3\n": [3.0],
    b"-0": [0.0],
    b"1e308": [1e308],
    b"123456789012345678901234567890": [123456789012345678901234567890.0],
    b'{"key": 4}': [4.0],
    b"[1]": [1.0],
    b' [1, {"key": 2.5}, 3e2] ': [1.0, 2.5, 300.0],
}

BAD_VALUES = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"1" + b"0" * 400,
    b"1" * 5_000,
    b"true",
    b"null",
    b'"5"',
    b'{"key": true}',
    b'{"key": null}',
    b'{"key": "5"}',
    b'{"key": NaN}',
    b'{"key": [5]}',
    b'{"key": 1, "ts": 5}',
    b'{"value": 1}',
    b"{}",
    b"[[1]]",
    b"0x10",
    b"1 2",
    b"warm",
    b"\xff",
    b"[" * 10_000,
]

INVALID_JSON = "The body is not valid JSON. Send one value per line as application/x-ndjson."

BAD_BODIES = [*BAD_VALUES, b"", b"1,2", b" ", b"[]", b"[1,]", b"[1", b"1\n2\n", b"key=5"]


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
async def service(storage: MemoryStorage) -> AsyncIterator[BatchService]:
    async with open_service(storage) as opened:
        yield opened


@pytest.fixture
async def client(service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(service) as opened:
        yield opened


async def push(
    client: httpx.AsyncClient,
    body: Any,
    media_type: str | None = "application/json",
    **headers: str,
) -> httpx.Response:
    if media_type:
        headers["Content-Type"] = media_type
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/batches/b/points", content=body, headers=headers)


async def keys(service: BatchService) -> list[float]:
    return [point.key for point in await service.points("b", 0, 2_000_000)]


# -- JSON ------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", JSON_TYPES)
async def test_json_is_stored(
    media_type: str | None, client: httpx.AsyncClient, service: BatchService
) -> None:
    expected: list[float] = []
    for body, numbers in BODIES.items():
        response = await push(client, body, media_type)
        expected += numbers
        assert response.json() == {
            "batch_id": "b",
            "first_seq": len(expected) - len(numbers) + 1,
            "last_seq": len(expected),
            "count": len(numbers),
        }
    assert await keys(service) == expected


async def test_largest_array_is_stored(client: httpx.AsyncClient, service: BatchService) -> None:
    body = json.dumps([0.5] * MAX_POINTS).rjust(MAX_PUSH_BYTES)
    assert (await push(client, body)).json()["count"] == MAX_POINTS
    assert service.totals().row_count == MAX_POINTS


async def test_invalid_json_starts_nothing(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    for body in BAD_BODIES:
        response = await push(client, body)
        assert response.status_code == 422, body[:20]
        check_problem(response, 422)
    assert service.batches() == []


async def test_invalid_element_is_named_and_nothing_is_stored(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    for value in BAD_VALUES:
        response = await push(client, b"[1, 2, %s, 3]" % value)
        assert response.status_code == 422, value[:20]
        problem = check_problem(response, 422)
        if problem["detail"] != INVALID_JSON:
            assert str(problem["detail"]).startswith("Element 2 (from 0) is not a finite number")
            assert problem["index"] == 2
    assert service.batches() == []


async def test_too_many_elements_are_refused(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    problem = check_problem(await push(client, json.dumps([1] * (MAX_POINTS + 1))), 422)
    assert problem["detail"] == "The array has more than 100000 elements."
    assert service.batches() == []


async def test_too_large_json_is_refused(client: httpx.AsyncClient, service: BatchService) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 2**20

    for body in (b" " * (MAX_PUSH_BYTES + 1), chunks()):
        problem = check_problem(await push(client, body), 413)
        assert problem["detail"] == "The body is larger than 16777216 bytes."


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data"])
async def test_other_content_type_is_refused(
    media_type: str, client: httpx.AsyncClient, service: BatchService
) -> None:
    check_problem(await push(client, b"5", media_type), 415)
    assert service.batches() == []


async def test_refused_push_is_a_conflict(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("b", "random")
    assert check_problem(await push(client, b"5"), 409)["code"] == "source-mismatch"
    await service.stop("b")
    assert check_problem(await push(client, b"5"), 409)["code"] == "source-mismatch"
    await service.start("b", "push")
    await service.stop("b")
    problem = check_problem(await push(client, b"5\n", NDJSON), 409)
    assert problem["code"] == "batch-ended"
    assert (problem["count"], problem["last_seq"]) == (0, None)


async def test_sixth_batch_is_refused(client: httpx.AsyncClient, service: BatchService) -> None:
    for number in range(5):
        await service.start(f"b{number}", "push")
    for media_type in ("application/json", NDJSON):
        problem = check_problem(await push(client, b"5", media_type), 429)
        assert problem["limit"] == 5


# -- idempotency -----------------------------------------------------------------------------


async def test_repeated_request_returns_the_first_response(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    first, second = [await push(client, b"[1, 2]", Idempotency_Key="key") for _ in range(2)]
    assert first.json() == second.json()
    assert await keys(service) == [1.0, 2.0]
    problem = check_problem(await push(client, b"[1, 3]", Idempotency_Key="key"), 422)
    assert problem["code"] == "idempotency-key-reused"


async def test_simultaneous_requests_with_one_key_are_stored_once(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    responses = await asyncio.gather(
        *(push(client, b"[1, 2]", Idempotency_Key="key") for _ in range(10))
    )
    assert {response.status_code for response in responses} == {200, 409}
    assert await keys(service) == [1.0, 2.0]
    assert (await push(client, b"[1, 2]", Idempotency_Key="key")).json()["last_seq"] == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
async def test_invalid_key_is_refused(
    key: str, client: httpx.AsyncClient, service: BatchService
) -> None:
    check_problem(
        await client.post(
            "/batches/b/points", content=b"5", headers=[(b"Idempotency-Key", key.encode("latin-1"))]
        ),
        422,
    )
    assert service.batches() == []


@pytest.mark.parametrize("second", ["key", "other"])
async def test_second_key_is_refused(
    second: str, client: httpx.AsyncClient, service: BatchService
) -> None:
    headers = [("Idempotency-Key", "key"), ("Idempotency-Key", second)]
    response = await client.post("/batches/b/points", content=b"5", headers=headers)
    assert check_problem(response, 422)["detail"] == "Header Idempotency-Key: send only one."
    assert service.batches() == []


RETRY_ADVICE = "A retry can store them twice, except with the same Idempotency-Key."


@pytest.mark.parametrize("write_hangs", [False, True])
async def test_retry_after_503_is_stored_once(write_hangs: bool) -> None:
    storage = MemoryStorage()
    timing = Timing(retry_interval=0.01, stop_grace_period=0.01, write_timeout=0.01)
    async with open_service(storage, timing=timing) as service, create_client(service) as client:
        await service.start("b", "push")
        if write_hangs:
            storage.writes.hold()
        else:
            storage.writes.fail()
        problem = check_problem(await push(client, b"5", Idempotency_Key="key"), 503)
        assert str(problem["detail"]).endswith(RETRY_ADVICE)
        retry = await push(client, b"5", Idempotency_Key="key")
        assert check_problem(retry, 409)["code"] == "push-in-progress"
        storage.writes.open()
        await wait_until(lambda: service.totals().row_count)
        assert (await push(client, b"5", Idempotency_Key="key")).json()["last_seq"] == 1
        assert await keys(service) == [5.0]


async def test_key_is_refused_with_ndjson(client: httpx.AsyncClient, service: BatchService) -> None:
    check_problem(await push(client, b"5", NDJSON, Idempotency_Key="key"), 422)
    assert service.batches() == []


# -- NDJSON ----------------------------------------------------------------------------------


async def test_ndjson_is_stored_in_whole_lines(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"1\n2", b"2\r\n\n \n", b'{"ke', b'y": 3}\n', b"", b"4"):
            yield chunk

    response = await push(client, chunks(), NDJSON)
    assert response.json() == {"batch_id": "b", "first_seq": 1, "last_seq": 4, "count": 4}
    assert await keys(service) == [1.0, 22.0, 3.0, 4.0]


async def test_invalid_first_line_starts_nothing(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    for value in BAD_VALUES:
        response = await push(client, b"%s\n1\n" % value, NDJSON)
        assert response.status_code == 422, value[:20]
        problem = check_problem(response, 422)
        assert (problem["line"], problem["count"], problem["last_seq"]) == (1, 0, None)
    assert service.batches() == []


async def test_invalid_line_ends_the_request_after_earlier_lines(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    for number, value in enumerate(BAD_VALUES, 1):
        response = await push(client, b"1\n\n2\n%s\n3\n" % value, NDJSON)
        assert response.status_code == 422, value[:20]
        problem = check_problem(response, 422)
        assert (problem["line"], problem["count"], problem["last_seq"]) == (4, 2, 2 * number)
    assert await keys(service) == [1.0, 2.0] * len(BAD_VALUES)


@pytest.mark.parametrize("body", [b"", b"\n", b" \n\n"])
async def test_ndjson_without_points_starts_nothing(
    body: bytes, client: httpx.AsyncClient, service: BatchService
) -> None:
    problem = check_problem(await push(client, body, NDJSON), 422)
    assert (problem["detail"], problem["count"]) == ("The body has no points.", 0)
    assert service.batches() == []


async def test_long_line_is_refused_without_reading_it(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"1\n"
        for _ in range(100_000):
            sent += 1
            yield b" " * 1_000

    problem = check_problem(await push(client, chunks(), NDJSON), 422)
    assert problem["detail"] == "Line 2 is longer than 65536 bytes."
    assert (problem["line"], problem["count"], problem["last_seq"]) == (2, 1, 1)
    longest = b" " * (MAX_LINE_BYTES - 1) + b"2\n"
    assert (await push(client, longest * 3, NDJSON)).json()["count"] == 3
    check_problem(await push(client, b" " + longest, NDJSON), 422)


async def test_ndjson_error_has_no_count_while_writes_fail() -> None:
    storage, timing = MemoryStorage(), Timing(retry_interval=0.01, stop_grace_period=0.01)
    async with open_service(storage, timing=timing) as service, create_client(service) as client:
        await service.start("b", "push")
        storage.writes.fail()
        problem = check_problem(await push(client, b"1\n2\n", NDJSON), 503)
        assert str(problem["detail"]).endswith(RETRY_ADVICE)
        assert not {"count", "last_seq"} & problem.keys()
        storage.writes.open()


# -- connections -----------------------------------------------------------------------------


class Connection:
    """A request to the gateway whose body is sent by the test."""

    def __init__(self, service: BatchService, media_type: str = NDJSON) -> None:
        self.sent: list[Message] = []
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self.scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/batches/b/points",
            "raw_path": b"/batches/b/points",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-type", media_type.encode())],
        }
        gateway = create_gateway(service)
        self.response = asyncio.create_task(gateway(self.scope, self._messages.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def send(self, body: bytes, more_body: bool = True) -> None:
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": more_body})

    @property
    def waiting(self) -> int:
        """The number of parts that the app has not received."""
        return self._messages.qsize()

    def disconnect(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def result(self) -> tuple[int, dict[str, Any]]:
        async with asyncio.timeout(30):
            await self.response
        return self.sent[0]["status"], json.loads(self.sent[1]["body"])


async def test_line_is_stored_as_soon_as_it_arrives(service: BatchService) -> None:
    connection = Connection(service)
    for number in range(1, 4):
        connection.send(b"%d\n" % number)
        await wait_until(lambda count=number: service.totals().row_count == count)  # type: ignore[misc]
    connection.send(b"4", more_body=False)
    assert (await connection.result())[1]["count"] == 4


async def test_partial_line_of_a_disconnected_client_is_not_stored(service: BatchService) -> None:
    connection = Connection(service)
    connection.send(b"1\n23")
    connection.disconnect()
    status, problem = await connection.result()
    assert (status, problem["detail"]) == (422, "The body is incomplete.")
    assert (problem["count"], problem["last_seq"]) == (1, 1)
    assert await keys(service) == [1.0]


async def test_json_of_a_disconnected_client_is_not_stored(service: BatchService) -> None:
    connection = Connection(service, "application/json")
    connection.send(b"12")
    connection.disconnect()
    assert (await connection.result())[0] == 422
    assert service.batches() == []


@pytest.mark.parametrize("status", [409, 503])
async def test_silent_ndjson_client_receives_the_end_of_its_batch(
    service: BatchService, status: int
) -> None:
    connection = Connection(service)
    connection.send(b"1\n2\n3")
    await wait_until(lambda: service.totals().row_count == 2)
    await (service.stop("b") if status == 409 else service.end_runs())
    response = await connection.result()
    assert response[0] == status
    assert (response[1]["count"], response[1]["last_seq"]) == (2, 2)


async def test_ndjson_client_continues_a_finished_batch(service: BatchService) -> None:
    await service.start("b", "push", {"idle_seconds": 0.01})
    connection = Connection(service)
    connection.send(b"1\n")
    await wait_until(lambda: service.batch("b").status is BatchStatus.FINISHED)
    connection.send(b"2\n", more_body=False)
    status, result = await connection.result()
    assert (status, result["first_seq"], result["last_seq"]) == (200, 1, 2)


async def test_silent_clients_occupy_no_slot(
    service: BatchService,
) -> None:
    connections = [Connection(service) for _ in range(10)]
    await asyncio.sleep(0)
    for number in range(5):
        await service.start(f"other-{number}", "push")
    assert len(service.running()) == 5
    for connection in connections:
        connection.disconnect()
        assert (await connection.result())[0] == 422


async def test_ndjson_is_read_only_as_fast_as_it_is_written(
    service: BatchService, storage: MemoryStorage
) -> None:
    connection = Connection(service)
    lines = b"1\n" * 1_000
    connection.send(lines)
    await wait_until(lambda: service.totals().row_count == 1_000)
    storage.writes.hold()
    for _ in range(100):
        connection.send(lines)
    await wait_until(lambda: storage.writes.waiting)
    waiting = None
    while waiting != connection.waiting:
        waiting = connection.waiting
        await asyncio.sleep(0.05)
    # At most one commit in flight and one full buffer have been read.
    assert (100 - waiting) * 1_000 <= 2 * BUFFER_POINTS
    storage.writes.open()
    connection.send(b"", more_body=False)
    assert (await connection.result())[1]["count"] == 101_000


async def test_large_bodies_wait_for_each_other() -> None:
    reader, large = BodyReader(), b" " * (MAX_BODY_BYTES + 1)
    release, active = asyncio.Event(), 0

    async def read(parts: list[bytes]) -> None:
        nonlocal active
        rest = parts.copy()

        async def receive() -> Message:
            return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

        async with reader.read(Headers(), receive, MAX_PUSH_BYTES):
            active += 1
            await release.wait()

    tasks = [asyncio.create_task(read([large, b" "])) for _ in range(2 * MAX_LARGE_BODIES)]
    tasks += [asyncio.create_task(read([b" ", b" "])) for _ in range(10)]
    await wait_until(lambda: active == 10 + MAX_LARGE_BODIES)
    await asyncio.sleep(0.01)
    assert active == 10 + MAX_LARGE_BODIES
    release.set()
    await asyncio.gather(*tasks)
    assert active == 10 + 2 * MAX_LARGE_BODIES


async def test_large_body_must_arrive_in_time() -> None:
    parts = [b" " * (MAX_BODY_BYTES + 1)]

    async def receive() -> Message:
        if not parts:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": parts.pop(), "more_body": True}

    with pytest.raises(BodyError) as error_info:
        async with BodyReader(timeout=0.01).read(Headers(), receive, MAX_PUSH_BYTES):
            pass
    assert error_info.value.status == 408
