"""The API behind its gateway, on a real service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from solo_app.batches.service import BatchService
from tests.helpers.api import create_client
from tests.helpers.service import FakeClock, Harness, ScriptedSource, open_harness, stop_all


@pytest.fixture(scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    """The bench shared by the tests of a module. Each test uses its own batch ids."""
    async with open_harness(tmp_path_factory.mktemp("bench")) as opened:
        yield opened


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[BatchService]:
    """The service of the bench, without running batches."""
    harness.reset()
    yield harness.service
    await stop_all(harness.service)


@pytest.fixture
def clock(service: BatchService, harness: Harness) -> FakeClock:
    return harness.clock


@pytest.fixture
def script(service: BatchService, harness: Harness) -> ScriptedSource:
    return harness.script


@pytest.fixture
async def client(service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(service) as opened:
        yield opened


@pytest.fixture
async def production(service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(service, serves_pages=True) as opened:
        yield opened
