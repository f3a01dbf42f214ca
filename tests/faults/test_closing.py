"""Closing a service with a query that ignores its interruption."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from solo_app.batches.service import BatchService
from solo_app.sources.random import random_kind
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.service import duckdb_store, open_service, wait_until

pytestmark = pytest.mark.anyio


async def test_close_abandons_a_query_that_ignores_its_interruption(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    has_started, is_released = threading.Event(), threading.Event()

    def endless(_: Any) -> None:
        has_started.set()
        is_released.wait()

    try:
        service = BatchService(DuckDBStore(tmp_path / "solo.duckdb"), {"random": random_kind(0.01)})
        await service.open()
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 3)
        reading = asyncio.create_task(duckdb_store(service).run_on_reader(endless))
        await wait_until(has_started.is_set)
        async with asyncio.timeout(10):
            assert not await service.close()
        assert "ignored its interruption" in caplog.text
        assert not reading.done()
        count = service.totals().row_count
    finally:
        is_released.set()
    await asyncio.wait({reading})
    async with open_service(tmp_path / "solo.duckdb") as service:
        assert service.totals().row_count == count
