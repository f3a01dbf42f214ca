"""The configuration of a batch: source, parameters, restart policy, unit and description."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from solo_app.batches.service import BatchService
from tests.api.requests import check_problem
from tests.helpers.api import create_client
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import counting, open_service, silent, wait_until

pytestmark = pytest.mark.anyio

DEFAULTS = {"interval": 0.01, "low": 0, "high": 100, "seed": None}
"""The parameters of the source ``random`` of the tests."""

NOT_TEXTS = ["5", "1.5", "true", "[]", "{}", '["x"]', "NaN", r'"\ud800"']
LABELS: list[tuple[str, str]] = [
    *(("unit", value) for value in NOT_TEXTS),
    ("unit", json.dumps("x" * 17)),
    ("unit", json.dumps("°" * 17)),
    ("unit", r'"m\ns"'),
    ("unit", r'"a\u0000b"'),
    ("unit", r'"a\u202eb"'),
    *(("description", value) for value in NOT_TEXTS),
    ("description", json.dumps("x" * 201)),
    ("description", r'"two\nlines"'),
]

NOT_OBJECTS = ["5", "1.5", "true", "[]", '"low"', "NaN"]
START_FIELDS: list[tuple[str, str, str]] = [
    *(("source", "source", value) for value in NOT_TEXTS),
    ("source", "source", '""'),
    ("source", "source", '"nonsense"'),
    ("source", "source", '"Random"'),
    ("source", "source", '" random"'),
    *(("parameters", "parameters", value) for value in [*NOT_OBJECTS, r'{"\ud800": 1}']),
    *(("restart", "restart", value) for value in [*NOT_TEXTS, '""', '"always"', '"Never"']),
    *((field, field, value) for field, value in LABELS),
    ("sauce", "sauce", '"random"'),
    ("sauce", "sauce", "null"),
]

TOO_LARGE = str(10**400)
PARAMETERS = [
    *(
        ("interval", value)
        for value in [
            *('"1"', '""', "true", "null", "[]", "{}"),
            *("-1", "-0.001", "3600.5", "1e308", "1e999", "NaN", "Infinity", "-Infinity"),
            TOO_LARGE,
        ]
    ),
    *(("low", value) for value in ['"1"', "true", "null", "1.5", "1e300", "NaN", TOO_LARGE]),
    *(("high", value) for value in ['"1"', "false", "null", "99.5", "-1", "-Infinity", TOO_LARGE]),
    *(("seed", value) for value in ['"1"', "true", "1.5", "-1", "NaN", TOO_LARGE]),
    ("speed", "1"),
    ("", "1"),
]


@pytest.fixture(scope="module")
async def shared_service() -> AsyncIterator[BatchService]:
    async with open_service(MemoryStorage(), silent=silent, few=counting(3)) as service:
        await service.start("b", "silent", unit="°C", description="Kiln")
        yield service


@pytest.fixture
async def client(shared_service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(shared_service) as opened:
        yield opened


async def send(client: httpx.AsyncClient, method: str, path: str, body: str) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await client.request(method, path, content=body, headers=headers)


def errors(response: httpx.Response) -> dict[str, str]:
    """Return the message for each invalid field of a request."""
    found = check_problem(response, 422)["errors"]
    assert isinstance(found, dict)
    assert all(messages for messages in found.values())
    return found


# -- start -----------------------------------------------------------------------------------


async def test_invalid_field_of_a_start_is_named(
    client: httpx.AsyncClient, shared_service: BatchService
) -> None:
    before = shared_service.batches()
    for field, name, value in START_FIELDS:
        response = await send(client, "POST", "/stream/new", f'{{"{name}": {value}}}')
        assert [*errors(response)] == [field], value
    assert shared_service.batches() == before


async def test_invalid_parameter_is_named(
    client: httpx.AsyncClient, shared_service: BatchService
) -> None:
    before = shared_service.batches()
    for name, value in PARAMETERS:
        body = f'{{"source": "random", "parameters": {{"{name}": {value}}}}}'
        response = await send(client, "POST", "/stream/new", body)
        assert [*errors(response)] == [json.loads(f'"parameters.{name}"')], (name, value)
    assert shared_service.batches() == before


async def test_all_invalid_fields_are_named(client: httpx.AsyncClient) -> None:
    labels = {"unit": "x" * 17, "description": "x" * 201}
    assert set(errors(await client.post("/stream/new", json=labels))) == set(labels)
    found = errors(await client.post("/stream/new", json={**labels, "parameters": {"seed": -1}}))
    assert set(found) == {*labels, "parameters.seed"}
    body = {"source": 1, "parameters": [], "restart": "x", "unit": 1, "description": 1, "x": 1}
    assert set(errors(await client.post("/stream/new", json=body))) == set(body)
    parameters = {"interval": -1, "low": "a", "seed": 0.5}
    found = errors(await client.post("/stream/new", json={"parameters": parameters}))
    assert set(found) == {"parameters.interval", "parameters.low", "parameters.seed"}


async def test_valid_configuration_is_shown(client: httpx.AsyncClient) -> None:
    configuration = {
        "source": "random",
        "parameters": {"low": -5, "seed": 7},
        "restart": "on-failure",
        "unit": " °C ",
        "description": "Kiln, top",
    }
    shown = {
        "source": "random",
        "parameters": {**DEFAULTS, "low": -5, "seed": 7},
        "restart": "on-failure",
    }
    labels = {"unit": "°C", "description": "Kiln, top"}
    assert (await client.post("/stream/r", json=configuration)).status_code == 201
    tasks = {task["batch_id"]: task for task in (await client.get("/tasks")).json()["tasks"]}
    await client.delete("/stream/r")
    batches = (await client.get("/batches")).json()["batches"]
    batch = (await client.get("/batches/r")).json()
    for found in (tasks["r"], *(b for b in batches if b["batch_id"] == "r"), batch):
        assert (shown | labels).items() <= found.items()
    for run in (*batch["runs"], *(await client.get("/batches/r/runs")).json()["runs"]):
        assert shown.items() <= run.items()


async def test_null_fields_are_not_specified(client: httpx.AsyncClient) -> None:
    fields = ("source", "parameters", "restart", "unit", "description")
    await client.post("/stream/again", json={"source": "few", "unit": "mm"})
    await client.delete("/stream/again")
    response = await client.post("/stream/again", json=dict.fromkeys(fields))
    assert response.status_code == 201
    batch = (await client.get("/batches/again")).json()
    assert (batch["source"], batch["unit"], batch["run"]) == ("few", "mm", 2)
    await client.delete("/stream/again")


async def test_parameters_of_an_unavailable_source_have_no_defaults(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database) as service:
        await service.start("b", "random", {"low": 7})
        await service.stop("b")
    # As if a later version had removed the parameters of the source.
    async with open_service(database, random=silent) as service, create_client(service) as client:
        assert (await client.get("/batches/b")).json()["parameters"] == {"low": 7}
        assert [*errors(await client.post("/stream/b"))] == ["parameters.low"]


# -- unit and description --------------------------------------------------------------------


async def test_patch_returns_the_batch(client: httpx.AsyncClient) -> None:
    await client.post("/stream/p", json={"source": "few"})
    response = await client.patch("/batches/p", json={"unit": "°" * 16, "description": "x" * 200})
    assert response.status_code == 200
    assert (response.json()["unit"], response.json()["description"]) == ("°" * 16, "x" * 200)
    batch = (await client.get("/batches/p")).json()
    del batch["runs"]
    assert {**response.json(), "status": "", "ended_at": "", "row_count": 0} == {
        **batch,
        "status": "",
        "ended_at": "",
        "row_count": 0,
    }


@pytest.mark.parametrize(
    ("body", "unit", "description"),
    [
        ({}, "mm", "Rod"),
        ({"unit": "cm"}, "cm", "Rod"),
        ({"description": " Long rod "}, "mm", "Long rod"),
        ({"unit": ""}, "", "Rod"),
        ({"unit": " "}, "", "Rod"),
        ({"unit": None, "description": None}, "", ""),
    ],
)
async def test_missing_labels_are_unchanged_and_empty_ones_removed(
    client: httpx.AsyncClient,
    shared_service: BatchService,
    body: dict[str, Any],
    unit: str,
    description: str,
) -> None:
    await shared_service.change_labels("b", "mm", "Rod")
    found = (await client.patch("/batches/b", json=body)).json()
    assert (found["unit"], found["description"]) == (unit, description)
    assert (await client.get("/batches/b")).json().items() >= found.items()


async def test_invalid_label_is_named_and_changes_nothing(
    client: httpx.AsyncClient, shared_service: BatchService
) -> None:
    before = shared_service.batch("b")
    for field, value in [*LABELS, ("source", '"random"'), ("batch_id", '"c"'), ("", "1")]:
        other = "description" if field == "unit" else "unit"
        body = f'{{"{field}": {value}, "{other}": "new"}}'
        assert [*errors(await send(client, "PATCH", "/batches/b", body))] == [field], value
    for body in ("", "[]", "null", '"unit"', '{"unit": ', "unit=mm"):
        check_problem(await send(client, "PATCH", "/batches/b", body), 422)
    assert shared_service.batch("b") == before


async def test_patch_of_an_unknown_batch_returns_404(client: httpx.AsyncClient) -> None:
    for body in ({}, {"unit": "mm"}):
        response = await client.patch("/batches/unknown", json=body)
        assert check_problem(response, 404)["code"] == "batch-not-found"
    check_problem(await client.patch("/batches/unknown", json={"unit": 5}), 422)


async def test_patch_returns_503_while_writes_fail() -> None:
    storage = MemoryStorage()
    async with open_service(storage, silent=silent) as service, create_client(service) as client:
        await service.start("b", "silent")
        storage.changes.fail("no room")
        response = await client.patch("/batches/b", json={"unit": "mm"})
        assert "no room" in str(check_problem(response, 503)["detail"])
        assert (await client.get("/batches/b")).json()["unit"] == ""
        await service.stop("b")
        await wait_until(lambda: not service.running())
