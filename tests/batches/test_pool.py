"""What DuckDB holds in memory of the file stays the same while the file grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solo_app.batches.model import Block
from solo_app.storage.duckdb import checkpoints, pool
from solo_app.storage.duckdb.store import DuckDBStore

pytestmark = pytest.mark.anyio

KEPT, MOST_BETWEEN = 2**20, 2**20
NEVER = 10**12


@pytest.fixture(autouse=True)
def kept_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "KEPT", KEPT)


@pytest.mark.parametrize(
    ("at_once", "longest_log", "most_points"),
    [
        pytest.param(20_000, 2**19, NEVER, id="when the log is folded"),
        pytest.param(125_000, NEVER, 125_000, id="when large commits use no log"),
    ],
)
async def test_it_lets_go_of_the_file(
    at_once: int,
    longest_log: int,
    most_points: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints, "LONGEST", longest_log)
    monkeypatch.setattr(pool, "MOST_POINTS", most_points)
    store = DuckDBStore(tmp_path / "solo.duckdb")
    await store.open()
    limit = await store.on_writer(_limit, store)
    held = 0
    for number in range(600_000 // at_once):
        await store.write([_block(number * at_once + 1, at_once)], {})
        in_memory, _ = await store.on_writer(_held, store, "BASE_TABLE")
        held = max(held, in_memory)
    left = await store.on_writer(_limit, store)
    await store.close()
    # Between two times it may hold more by what is written then.
    assert held <= KEPT + MOST_BETWEEN
    assert store.path.stat().st_size > 2 * (KEPT + MOST_BETWEEN)
    assert left == limit


async def test_points_that_are_not_in_the_file_yet_stay_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than what questions about memory take themselves, by far.
    monkeypatch.setattr(pool, "KEPT", 4 * KEPT)
    monkeypatch.setattr(checkpoints, "LONGEST", NEVER)
    monkeypatch.setattr(pool, "MOST_POINTS", 100_000)
    store = DuckDBStore(tmp_path / "solo.duckdb")
    await store.open()
    for number in range(30):
        await store.write([_block(number * 20_000 + 1, 20_000)], {})
    in_memory, on_disk = await store.on_writer(_held, store, "IN_MEMORY_TABLE")
    await store.close()
    assert in_memory > 2 * 4 * KEPT
    assert on_disk == 0


def _block(first_seq: int, count: int) -> Block:
    """Points whose numbers take as much room on disk as in memory."""
    ts = np.arange(first_seq, first_seq + count, dtype=np.int64) + 1_790_000_000_000_000
    return Block(1, first_seq, ts, np.random.default_rng(first_seq).random(count))


def _held(store: DuckDBStore, what: str) -> tuple[int, int]:
    """Bytes of it that DuckDB holds in memory, and that went to disk for want of memory."""
    assert store._cursor
    query = "SELECT memory_usage_bytes, temporary_storage_bytes FROM duckdb_memory() WHERE tag = ?"
    ((in_memory, on_disk),) = store._cursor.execute(query, [what]).fetchall()
    return in_memory, on_disk


def _limit(store: DuckDBStore) -> str:
    assert store._cursor
    ((limit,),) = store._cursor.execute("SELECT current_setting('memory_limit')").fetchall()
    return str(limit)
