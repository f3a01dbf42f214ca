"""docs/api.md lists every route, parameter, status and error code, and shows real responses.

The requests are executed with curl against the app on a real port, with a deterministic clock and
source.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solo_app.api.problems import CODE_BY_STATUS, STATUS_BY_ERROR, error_code
from solo_app.batches.service import BatchService
from solo_app.config import Settings
from solo_app.sources import create_sources
from tests.helpers.api import cached_api, create_gateway
from tests.helpers.running_app import PROJECT
from tests.helpers.service import FAST_RETRY, FakeClock, open_service, wait_until

pytestmark = pytest.mark.anyio

DOCUMENT = (PROJECT / "docs" / "api.md").read_text()
SECTIONS = {
    (section[1], section[2]): section[3]
    for section in re.finditer(r"^### `([A-Z]+) (/\S*)`$(.*?)(?=^##|\Z)", DOCUMENT, re.M | re.S)
}
COMMON_STATUSES = set(
    re.findall(r"\b\d{3}\b", DOCUMENT.partition("Every route can return")[2].split("\n")[0])
)
NOT_IN_SCHEMA = {("GET", "/docs"), ("GET", "/openapi.json")}

STARTED = "2026-11-23 10:10:58"
KEYS = [3.0, 12.0, 88.0, 41.0, 57.0, 9.0, 73.0, 57.5]


Operations = dict[tuple[str, str], dict[str, Any]]
"""The operations of the OpenAPI document by method and path."""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return cached_api().openapi()


@pytest.fixture(scope="module")
def operations(schema: dict[str, Any]) -> Operations:
    return {
        (method.upper(), path): operation
        for path, item in schema["paths"].items()
        for method, operation in item.items()
    }


def documented_statuses(route: tuple[str, str]) -> set[str]:
    return COMMON_STATUSES | set(re.findall(r"\*\*(\d{3})\*\*", SECTIONS[route]))


def rows(text: str, header: str) -> list[list[str]]:
    """Return the cells of the first table whose first column has this header."""
    lines = text.partition(f"\n| {header} |")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def examples(text: str) -> list[tuple[str, str]]:
    """Return the commands in a text, each with its output."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def normalized(output: str) -> str:
    """Remove the formatting of JSON, and the rate, which depends on the speed of the machine."""
    if output.startswith("{") and output.rstrip().endswith("}"):
        output = json.dumps(json.loads(output))
    return re.sub(r'"rows_per_second": [\d.]+', '"rows_per_second": 0', output).strip()


class Recorder:
    """An ASGI app that records method, path and status of each request to another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests: list[tuple[str, str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]

        async def record(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.requests.append((method, path, str(message["status"])))
            await send(message)

        await self._app(scope, receive, record)


@asynccontextmanager
async def open_documented_service(database: Path) -> AsyncIterator[BatchService]:
    """Open a service whose clock advances with its source ``random``."""
    clock = FakeClock(STARTED)

    async def source() -> AsyncIterator[float]:
        for key in KEYS:
            clock.now += timedelta(seconds=0.25)
            yield key
        await asyncio.Event().wait()

    kinds = create_sources(Settings())
    kinds["random"] = replace(kinds["random"], read=lambda *_: source())
    async with open_service(database, clock, False, FAST_RETRY, **kinds) as service:
        yield service


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app on a free port; yields its URL."""
    uvicorn = pytest.importorskip("uvicorn", reason="the API docs test needs requirements-dev.txt")
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve())
    await wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def run(command: str, folder: Path) -> str:
    """Run a shell command. Returns its output."""
    process = await asyncio.create_subprocess_shell(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
    )
    return (await process.communicate())[0].decode()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="the API docs test needs curl")
async def test_documented_requests_get_the_documented_responses(tmp_path: Path) -> None:
    async with open_documented_service(tmp_path / "data" / "solo.duckdb") as service:
        recorder = Recorder(create_gateway(service))
        async with serve(recorder) as url:
            for command, expected in examples(DOCUMENT):
                output = await run(command.replace("http://localhost:8000", url), tmp_path)
                assert normalized(output) == normalized(expected), command
                sensor = service.batch("sensor-a") if service.batches() else None
                if sensor and sensor.is_running:
                    await wait_until(lambda: service.row_count(sensor) == len(KEYS))  # noqa: B023
    for method, path in SECTIONS:
        pattern = re.compile(path.replace("{batch_id}", "[^/]+"))
        statuses = {s for m, p, s in recorder.requests if m == method and pattern.fullmatch(p)}
        assert statuses, f"no request in the document for {method} {path}"
        assert statuses <= documented_statuses((method, path))


def test_document_has_a_section_for_every_route(operations: Operations) -> None:
    assert set(SECTIONS) == set(operations) | NOT_IN_SCHEMA
    contents = re.findall(r"^\| \[`([A-Z]+) (/\S*)`\]\(#", DOCUMENT, re.M)
    assert contents == list(SECTIONS)


def test_sections_list_the_statuses_of_the_schema(operations: Operations) -> None:
    statuses = {route: set(operation["responses"]) for route, operation in operations.items()}
    assert {route: documented_statuses(route) for route in operations} == statuses


def test_sections_list_the_parameters_of_the_schema(operations: Operations) -> None:
    for route, operation in operations.items():
        documented = {row[0]: row[1] for row in rows(SECTIONS[route], "parameter")}
        parameters = {
            p["name"]: p["schema"] for p in operation.get("parameters", []) if p["in"] != "path"
        }
        assert set(documented) == set(parameters), route
        for name, parameter in parameters.items():
            if "default" in parameter:
                assert documented[name] == str(parameter["default"]), route


@pytest.mark.parametrize(
    ("route", "model"),
    [
        (("POST", "/stream/{batch_id}"), "StartRequest"),
        (("PATCH", "/batches/{batch_id}"), "LabelsRequest"),
    ],
)
def test_section_lists_the_fields_of_the_body(
    route: tuple[str, str], model: str, schema: dict[str, Any]
) -> None:
    fields = schema["components"]["schemas"][model]["properties"]
    assert [row[0] for row in rows(SECTIONS[route], "body field")] == list(fields)


def test_document_lists_every_error_code() -> None:
    codes = {(error_code(error), str(status)) for error, status in STATUS_BY_ERROR.items()}
    codes |= {(code, str(status)) for status, code in CODE_BY_STATUS.items()}
    codes |= {("internal-error", "500")}
    assert {(row[0], row[1]) for row in rows(DOCUMENT, "code")} == codes
