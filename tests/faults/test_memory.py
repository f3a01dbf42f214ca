"""Queries that exceed the memory limit of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from solo_app.storage.duckdb import connection
from tests.helpers.api import create_client
from tests.helpers.service import duckdb_store, open_service, wait_until

pytestmark = pytest.mark.anyio


async def test_query_over_the_memory_limit_fails_and_ingest_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    monkeypatch.setattr(connection, "MEMORY_LIMIT", "200MB")
    async with open_service(tmp_path / "solo.duckdb") as service, create_client(service) as client:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 3)
        documented = (await client.get("/openapi.json")).json()["paths"]
        read = duckdb_store(service).run_on_reader

        async def query_too_much(*_: object) -> Any:
            return await read(
                lambda c: c.execute("SELECT list(i) FROM range(1000000000) t(i)").fetchall()
            )

        for _ in range(rounds):
            row_count = service.totals().row_count
            with monkeypatch.context() as patched:
                patched.setattr(service, "points", query_too_much)
                response = await client.get("/batches/b/points")
            assert response.status_code == 503
            assert "503" in documented["/batches/{batch_id}/points"]["get"]["responses"]
            assert response.headers["content-type"] == "application/problem+json"
            assert "memory limit" in response.json()["detail"]
            await wait_until(lambda: service.totals().row_count > row_count)  # noqa: B023
            await wait_until(lambda: service.totals().write_error is None)
            assert (await client.get("/batches/b/points")).status_code == 200


async def test_ingest_continues_after_a_transaction_without_rollback(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 3)
        cursor = duckdb_store(service)._instance.writer
        assert cursor

        def leave_open() -> None:
            cursor.execute("BEGIN")
            with pytest.raises(duckdb.InvalidInputException):
                cursor.execute("SELECT error('out of memory')")

        await duckdb_store(service).run_on_writer(leave_open)
        row_count = service.totals().row_count
        await wait_until(lambda: service.totals().row_count > row_count)
        assert service.totals().write_error is None
