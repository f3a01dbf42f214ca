"""A query that needs more memory than the database may use fails alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from solo_app.storage.duckdb import connection
from tests.helpers.api import create_client
from tests.helpers.service import duckdb_store, open_service, wait_until

pytestmark = pytest.mark.anyio


async def test_it_is_answered_clearly_and_ingest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    monkeypatch.setattr(connection, "MEMORY_LIMIT", "200MB")
    async with open_service(tmp_path / "solo.duckdb") as service, create_client(service) as client:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 3)
        described = (await client.get("/openapi.json")).json()["paths"]
        read = duckdb_store(service).run_on_reader

        async def greedy(*_: object) -> Any:
            return await read(
                lambda c: c.execute("SELECT list(i) FROM range(1000000000) t(i)").fetchall()
            )

        for _ in range(rounds):
            counted = service.totals().row_count
            with monkeypatch.context() as asking:
                asking.setattr(service, "points", greedy)
                answer = await client.get("/batches/b/points")
            assert answer.status_code == 503
            assert "503" in described["/batches/{batch_id}/points"]["get"]["responses"]
            assert answer.headers["content-type"] == "application/problem+json"
            assert "memory limit" in answer.json()["detail"]
            await wait_until(lambda: service.totals().row_count > counted)  # noqa: B023
            await wait_until(lambda: service.totals().write_error is None)
            assert (await client.get("/batches/b/points")).status_code == 200


async def test_a_transaction_that_could_not_be_rolled_back_holds_nothing_up(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 3)
        cursor = duckdb_store(service)._instance.writer
        assert cursor

        def leave_it_open() -> None:
            cursor.execute("BEGIN")
            with pytest.raises(duckdb.InvalidInputException):
                cursor.execute("SELECT error('as for want of memory')")

        await duckdb_store(service).run_on_writer(leave_it_open)
        counted = service.totals().row_count
        await wait_until(lambda: service.totals().row_count > counted)
        assert service.totals().write_error is None
