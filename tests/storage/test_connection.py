"""Closing the file during queries, and queries during writes."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.models import BatchStatus, Run
from solo_app.storage.duckdb.connection import Instance
from solo_app.storage.duckdb.store import DuckDBStore

pytestmark = pytest.mark.anyio


def test_close_interrupts_only_open_cursors(tmp_path: Path) -> None:
    class Reading(set[duckdb.DuckDBPyConnection]):
        def discard(self, cursor: object) -> None:
            assert isinstance(cursor, duckdb.DuckDBPyConnection)
            cursor.interrupt()  # Raises on a closed cursor.
            super().discard(cursor)

    instance = Instance(tmp_path / "solo.duckdb")
    instance.open()
    instance._reading = Reading()
    with instance.reader() as cursor:
        assert instance.has_active_readers
        cursor.execute("SELECT 1").fetchall()
    assert not instance.has_active_readers
    instance.close()


def test_closing_while_queries_end_does_not_raise(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "solo.duckdb")
    instance.open()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                with instance.reader() as cursor:
                    cursor.execute("SELECT 1").fetchall()
            except Exception:
                return

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        instance.close()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not instance.has_active_readers


async def test_runs_are_paged_latest_first_while_the_writer_is_busy(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "solo.duckdb")
    await store.open()
    began = datetime(2026, 3, 1)
    for number in range(1, 26):
        batch = await store.open_run("b", Run(number, "s", BatchStatus.RUNNING, began, number))
    writer_blocked, release = threading.Event(), threading.Event()

    def block() -> None:
        writer_blocked.set()
        release.wait()

    writing = asyncio.create_task(store.run_on_writer(block))
    await asyncio.to_thread(writer_blocked.wait)
    try:
        async with asyncio.timeout(10):
            pages = [await store.runs(batch.no, offset, 10) for offset in (0, 10, 20, 30)]
    finally:
        release.set()
        await writing
    await store.close()
    numbers = [run.number for page in pages for run in page]
    assert numbers == list(range(25, 0, -1))
    assert [len(page) for page in pages] == [10, 10, 5, 0]
