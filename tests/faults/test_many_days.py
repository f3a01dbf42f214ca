"""A database with 60 days of points: a start reads one hour, and memory use stays small."""

from __future__ import annotations

import gc
import shutil
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from solo_app.batches.minutes import MAX_AGE, start_of_minute
from solo_app.batches.models import BUCKET_US, MINUTE, Window, utc_now
from solo_app.batches.recent import RECENT_POINTS
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.history import write_long_history
from tests.helpers.running_app import RunningApp
from tests.helpers.service import open_service, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("many_days")]

T = TypeVar("T")

DAYS = 60
INTERVAL = timedelta(seconds=5)
POINTS = timedelta(days=DAYS) // INTERVAL
"""Points of each batch. The five batches have 5.2 million points and 432,000 minutes."""

BATCHES = [f"sensor-{n}" for n in range(BATCH_LIMIT)]

BUCKETS = MINUTE // timedelta(microseconds=BUCKET_US) + 1

PYTHON_MEMORY = 8_000_000
"""Limit of bytes allocated by Python. The last hour of minutes needs 60 kB per batch."""

MEMORY = 100_000_000
"""Limit of bytes that the app uses in addition to its usage with an empty database."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with five ended batches. Copy it before use."""
    database = tmp_path_factory.mktemp("history") / "solo.duckdb"
    write_long_history(database, BATCHES, POINTS, INTERVAL, utc_now())
    return database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(history, tmp_path))


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows returned by each query of the store."""
    rows: list[int] = []
    read = DuckDBStore.run_on_reader

    async def counted(self: DuckDBStore, query: Callable[[Any], T]) -> T:
        found = await read(self, query)
        rows.append(len(found) if isinstance(found, list) else 1)
        return found

    monkeypatch.setattr(DuckDBStore, "run_on_reader", counted)
    return rows


async def test_start_reads_and_keeps_one_hour(database: Path, rows_read: list[int]) -> None:
    gc.collect()
    tracemalloc.start()
    async with open_service(database) as service:
        assert service.totals().row_count == POINTS * len(BATCHES)
        hour = MAX_AGE // timedelta(minutes=1)
        assert len(rows_read) <= 2 + len(BATCHES)
        assert 0 < sum(rows_read) <= (hour + 2) * len(BATCHES)
        for batch_id in BATCHES:
            await service.start(batch_id)
        await wait_until(lambda: service.totals().row_count > POINTS * len(BATCHES) + 1_000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < PYTHON_MEMORY
    tracemalloc.stop()


async def test_queries_read_only_necessary_rows(database: Path, rows_read: list[int]) -> None:
    async with open_service(database) as service:
        batch = service.batch(BATCHES[0])
        ended = batch.run.ended_at
        assert ended
        at = start_of_minute(ended - timedelta(days=50))
        assert (await service.aggregate(batch.batch_id, at)).minute is not None
        month = Window(at, at + timedelta(days=31))
        assert len(await service.minutes(batch.batch_id, month)) == 31 * 24 * 60
        for after in (0, POINTS // 2, POINTS - 100):
            points = await service.points(batch.batch_id, after, 100)
            assert [p.seq for p in points] == list(range(after + 1, after + 101))
        rows_read.clear()
        recent = await service.read_recent(batch)
        assert len(recent.points) == RECENT_POINTS
        # The first point of the minute is exactly at its start, which is not part of it.
        assert recent.count == MINUTE // INTERVAL - 1
        assert sum(rows_read) <= RECENT_POINTS + BUCKETS + 2


def test_memory_use_is_almost_independent_of_the_history(
    database: Path, tmp_path: Path, new_app: Callable[..., RunningApp]
) -> None:
    memory = []
    for path in (tmp_path / "empty.duckdb", database):
        app = new_app(path).start()
        if path == database:
            for query in ("points?after=0", "minutes", "download?from=2100-01-01T00:00Z"):
                assert app.is_ready(f"{app.api}/batches/{BATCHES[0]}/{query}")
        memory.append(app.memory_usage())
        app.kill()
    assert memory[1] < memory[0] + MEMORY
