"""Source kinds in the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from solo_app.batches.models import utc_now
from solo_app.config import Settings
from solo_app.sources import create_sources
from tests.api.requests import check_problem
from tests.helpers.api import create_client
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, open_service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def kinds_client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with the source kinds of the app."""
    kinds = create_sources(Settings())
    async with (
        open_service(MemoryStorage(), utc_now, False, FAST_RETRY, **kinds) as service,
        create_client(service) as client,
    ):
        yield client


async def test_sources_have_the_schema_of_their_parameters(
    kinds_client: httpx.AsyncClient,
) -> None:
    sources: list[dict[str, Any]] = (await kinds_client.get("/sources")).json()["sources"]
    assert [source["name"] for source in sources] == list(create_sources(Settings()))
    http = next(source for source in sources if source["name"] == "http")
    schema = http.pop("parameters")
    assert http == {
        "name": "http",
        "kind": "http",
        "description": "A number in an HTTP response.",
        "restart": "on-failure",
    }
    assert schema["required"] == ["url"]
    assert schema["properties"]["timeout"] == {
        "type": "number",
        "title": "Timeout",
        "description": "Time limit in seconds, including redirects",
        "default": 5,
        "minimum": 0.1,
        "maximum": 3600,
    }


async def test_invalid_parameters_return_422_with_their_names(
    kinds_client: httpx.AsyncClient,
) -> None:
    parameters = {"url": "file:///etc/passwd", "timeout": True, "other": 1}
    response = await kinds_client.post(
        "/stream/b", json={"source": "http", "parameters": parameters}
    )
    assert check_problem(response, 422)["errors"] == {
        "parameters.url": "URL scheme should be 'http' or 'https'",
        "parameters.timeout": "Input should be a valid number",
        "parameters.other": "Unknown parameter",
    }
    assert (await kinds_client.get("/batches/b")).status_code == 404


SOLO_TOML = """
[sources.boiler]
kind = "http"
url = "http://s3cret.invalid/"
pointer = "/s3cret"
timeout = 0.5
"""


@pytest.fixture
async def declared_client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service whose ``solo.toml`` declares the source ``boiler``."""
    config = tmp_path / "solo.toml"
    config.write_text(SOLO_TOML)
    kinds = create_sources(Settings.model_construct(config=config))
    async with (
        open_service(MemoryStorage(), utc_now, False, FAST_RETRY, **kinds) as service,
        create_client(service) as client,
    ):
        yield client


async def test_declared_source_has_a_name_and_a_kind_only(
    declared_client: httpx.AsyncClient,
) -> None:
    response = await declared_client.get("/sources")
    boiler = response.json()["sources"][-1]
    assert boiler.pop("parameters")["properties"] == {}
    assert boiler == {
        "name": "boiler",
        "kind": "http",
        "description": "A number in an HTTP response.",
        "restart": "on-failure",
    }
    assert "s3cret" not in response.text
    assert "boiler" not in (await declared_client.get("/openapi.json")).text


async def test_declared_source_is_started_by_its_name(declared_client: httpx.AsyncClient) -> None:
    response = await declared_client.post("/stream/b", json={"source": "boiler"})
    assert response.status_code == 201
    response = await declared_client.get("/batches/b")
    run = response.json()["runs"][0]
    assert (run["source"], run["parameters"], run["restart"]) == ("boiler", {}, "on-failure")
    assert "s3cret" not in response.text


async def test_parameters_of_a_declared_source_return_422(
    declared_client: httpx.AsyncClient,
) -> None:
    parameters = {"pointer": "/other"}
    body = {"source": "boiler", "parameters": parameters}
    response = await declared_client.post("/stream/b", json=body)
    assert check_problem(response, 422)["errors"] == {"parameters.pointer": "Unknown parameter"}
    assert (await declared_client.get("/batches/b")).status_code == 404


async def test_batch_cannot_restart_without_its_declaration(tmp_path: Path) -> None:
    """The operator has removed the source from ``solo.toml``."""
    storage = MemoryStorage()
    kinds = create_sources(Settings())
    boiler = replace(kinds["random"], name="boiler")
    async with open_service(storage, utc_now, False, FAST_RETRY, boiler=boiler) as service:
        await service.start("b", "boiler")
        await service.stop("b")
    async with (
        open_service(storage, utc_now, False, FAST_RETRY, **kinds) as service,
        create_client(service) as client,
    ):
        problem = check_problem(await client.post("/stream/b"), 422)
        assert problem["code"] == "unknown-source"
        assert 'Unknown source "boiler". Available: ' in str(problem["detail"])
        assert (await client.get("/batches/b")).json()["runs"][0]["source"] == "boiler"
