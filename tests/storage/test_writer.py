"""Writes of points and minutes, and the checkpoints after them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import BatchCounter, IdempotencyKey, MinuteAggregate, Receipt
from solo_app.storage.duckdb import schema
from solo_app.storage.duckdb.checkpoints import Wal
from solo_app.storage.duckdb.connection import Instance
from solo_app.storage.duckdb.files import OpenFiles, wal_path
from solo_app.storage.duckdb.store import DuckDBStore
from solo_app.storage.duckdb.writer import PointWriter
from tests.storage.conftest import FullDisk
from tests.storage.stores import START, create_block


class DueWal(Wal):
    """A WAL whose checkpoint is due after each commit."""

    def record_commit(self) -> bool:
        return self.has_space


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path / "solo.duckdb")
    instance.open()
    schema.migrate(instance.writer)
    yield instance
    instance.close()


@pytest.fixture
def writer(tmp_path: Path, instance: Instance) -> PointWriter:
    """A writer that checkpoints after each commit."""
    database = tmp_path / "solo.duckdb"
    return PointWriter(database, instance, OpenFiles(database), DueWal(database))


def test_due_checkpoint_empties_the_wal(tmp_path: Path, writer: PointWriter) -> None:
    writer.write([create_block(1, [1, 2])], {})
    assert not wal_path(tmp_path / "solo.duckdb").exists()


def test_checkpoint_waits_for_free_space(
    tmp_path: Path, writer: PointWriter, full_disk: FullDisk
) -> None:
    wal = wal_path(tmp_path / "solo.duckdb")
    with full_disk():
        sizes = []
        for seq in range(1, 10):
            writer.write([create_block(seq, [1])], {})
            sizes.append(wal.stat().st_size)
        assert sizes == sorted(set(sizes))
        assert not writer.checkpoint()
    writer.write([create_block(10, [1])], {})
    assert not wal.exists()


def test_failed_transaction_changes_nothing(instance: Instance, writer: PointWriter) -> None:
    instance.writer.execute("ALTER TABLE counters RENAME row_count TO other")
    minute = MinuteAggregate(START, 1, 1.0, 1.0, 1.0)
    with pytest.raises(StoreUnavailableError, match="rejected the write"):
        writer.write([create_block(1, [1])], {1: [minute]})
    for table in ("points", "minutes", "counters"):
        assert instance.writer.execute(f"SELECT * FROM {table}").fetchall() == []


def test_transaction_is_rolled_back_on_an_error(instance: Instance, writer: PointWriter) -> None:
    def insert_and_fail() -> None:
        with writer.transaction() as cursor:
            cursor.execute("INSERT INTO points VALUES (1, 1, now(), 1)")
            cursor.execute("SELECT * FROM unknown")

    with pytest.raises(duckdb.CatalogException):
        insert_and_fail()
    assert instance.writer.execute("SELECT * FROM points").fetchall() == []


def test_expired_receipts_are_deleted_once_an_hour(instance: Instance, writer: PointWriter) -> None:
    keys = []
    for hours in (0, 12, 24.5, 24.9, 36, 36.5, 37):
        key = IdempotencyKey(str(hours), "hash")
        receipt = Receipt(key, START + timedelta(hours=hours), 1, 1)
        writer.write([replace(create_block(1, [1]), receipts=(receipt,))], {})
        stored = instance.writer.execute("SELECT key FROM receipts ORDER BY created_at").fetchall()
        keys.append([key for (key,) in stored])
    assert keys[2] == ["12", "24.5"]
    assert keys[5] == ["12", "24.5", "24.9", "36", "36.5"]
    assert keys[6] == ["24.5", "24.9", "36", "36.5", "37"]


@pytest.mark.anyio
async def test_receipt_is_stored_once_after_a_commit_in_doubt(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = Receipt(IdempotencyKey("key", "hash"), START, 1, 1)
    block = replace(create_block(1, [1]), receipts=(receipt,))
    insert = PointWriter._insert  # noqa: SLF001 (the commit itself fails)

    def fail_after_commit(writer: PointWriter, *arguments: Any) -> None:
        insert(writer, *arguments)
        raise duckdb.FatalException("The commit failed.")

    with monkeypatch.context() as patched:
        patched.setattr(PointWriter, "_insert", fail_after_commit)
        with pytest.raises(StoreUnavailableError):
            await store.write([block], {})
    await store.write([block], {})
    for table in ("points", "receipts"):
        (count,) = await store.run_on_reader(
            lambda cursor, table=table: cursor.execute(f"SELECT count(*) FROM {table}").fetchall()  # type: ignore[misc]
        )
        assert count == (1,), table


@pytest.mark.anyio
async def test_counters_include_exactly_the_points_of_the_minutes(store: DuckDBStore) -> None:
    minute = MinuteAggregate(START, 5, 10.0, 0.0, 4.0)
    await store.write([create_block(1, range(5))], {})
    assert (await store.stored_minutes(START)).counters == {}
    await store.write([], {1: [minute]})
    await store.write([create_block(6, range(5))], {1: [minute]})
    stored = await store.stored_minutes(START)
    assert stored.counters == {1: BatchCounter(10, 10)}
    assert stored.minutes == {1: [MinuteAggregate(START, 10, 20.0, 0.0, 4.0)]}
