"""The query of the table of batches, and its rows."""

from __future__ import annotations

import pytest

from solo_app.batches.snapshots import Ticker
from solo_app.ui.state.batch_table import BatchTable, TableQuery
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import open_service, silent


@pytest.mark.parametrize("query", [TableQuery(), TableQuery("old & +", "ended", 3)])
def test_query_is_restored_from_its_text(query: TableQuery) -> None:
    assert TableQuery.parse(str(query)) == query


@pytest.mark.parametrize("text", ["", "page=9e9&status=%00&search", "&" * 99, "page=" + "9" * 10])
def test_invalid_query_has_defaults(text: str) -> None:
    assert TableQuery.parse(text) == TableQuery()


@pytest.mark.anyio
async def test_batch_that_ends_during_an_update_has_one_row() -> None:
    async with open_service(MemoryStorage(), silent=silent) as service:
        ticker, table = Ticker(service), BatchTable(service)
        await service.start("b", "silent")
        before = ticker.snapshot()
        await service.stop("b")
        for snapshot, status in ((before, "running"), (ticker.snapshot(), "stopped")):
            rows = table.values(snapshot, TableQuery("b"))["rows"]
            assert [(row["batch_id"], row["status"]) for row in rows] == [("b", status)]
