"""The table of log lines does not grow."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import LOG_LINES, LogLevel, LogLine
from solo_app.storage.duckdb import checkpoints
from solo_app.storage.duckdb.files import wal_path
from solo_app.storage.duckdb.store import DuckDBStore
from tests.storage.stores import START, start_run

pytestmark = pytest.mark.anyio


def lines(first: int, count: int = 100) -> list[LogLine]:
    numbers = range(first, first + count)
    return [LogLine(n, START, 1, LogLevel.OUTPUT, f"{n} ".ljust(1_000, "x")) for n in numbers]


async def count_rows(store: DuckDBStore) -> int:
    def count(cursor: duckdb.DuckDBPyConnection) -> int:
        ((rows,),) = cursor.execute("SELECT count(*) FROM log_lines").fetchall()
        return int(rows)

    return await store.run_on_reader(count)


async def test_flooding_log_grows_neither_table_nor_files(
    store: DuckDBStore, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MAX_COMMITS", 20)
    batch = await start_run(store)
    sizes = []
    for n in range(100):
        await store.append_log({batch.no: lines(1 + 100 * n)})
        wal = wal_path(database)
        sizes.append(database.stat().st_size + (wal.stat().st_size if wal.exists() else 0))
    assert await count_rows(store) == LOG_LINES
    assert max(sizes) < 1.5 * max(sizes[:50])


async def test_rejected_log_write_is_unavailable(store: DuckDBStore) -> None:
    batch = await start_run(store)
    await store.run_on_writer(
        lambda: store._instance.writer.execute("ALTER TABLE log_lines DROP COLUMN run")  # noqa: SLF001
    )
    with pytest.raises(StoreUnavailableError, match="rejected the write"):
        await store.append_log({batch.no: lines(1)})
    assert await count_rows(store) == 0
