"""Clients of the API, on services shared by the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from solo_app.batches.models import utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.api import create_client
from tests.helpers.history import write_long_history
from tests.helpers.service import Harness, open_harness, open_service, stop_all


@pytest.fixture(scope="module")
async def shared_harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    async with open_harness(tmp_path_factory.mktemp("shared") / "solo.duckdb") as opened:
        yield opened


@pytest.fixture
async def harness(shared_harness: Harness) -> AsyncIterator[Harness]:
    """A service without running batches. It may have batches of other tests."""
    shared_harness.reset()
    yield shared_harness
    await stop_all(shared_harness.service)


@pytest.fixture
def service(harness: Harness) -> BatchService:
    return harness.service


@pytest.fixture
async def client(service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    """A client in development, where the gateway does not serve the pages."""
    async with create_client(service) as opened:
        yield opened


@pytest.fixture
async def production_client(service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(service, serves_pages=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def archived_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archived") / "solo.duckdb"


@pytest.fixture(scope="module")
async def archived_service(archived_database: Path) -> AsyncIterator[BatchService]:
    """A service with an ended batch ``b`` of 50 points, 27 of them archived. Read only."""
    end = utc_now() - timedelta(minutes=2)
    write_long_history(archived_database, ["b"], 50, timedelta(hours=1), end)
    store = DuckDBStore(archived_database)
    async with open_service(store) as service:
        retention = Retention(store, timedelta(days=1), utc_now)
        assert await retention.archive_old_points() == 27
        yield service


@pytest.fixture
async def archive_client(archived_service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(archived_service) as opened:
        yield opened
