"""Closing the file while queries run."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest

from solo_app.storage.duckdb.connection import Instance, InvalidatedError

ENDLESS = "SELECT count(*) FROM range(10_000_000) a, range(1_000_000) b"


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    instance = Instance(tmp_path / "solo.duckdb")
    instance.open()
    return instance


def test_queries_are_counted_while_they_run(instance: Instance) -> None:
    assert not instance.has_active_readers
    with instance.reader() as cursor:
        assert instance.has_active_readers
        cursor.execute("SELECT 1").fetchall()
    assert not instance.has_active_readers
    instance.close()


def test_close_interrupts_queries(instance: Instance) -> None:
    errors: list[Exception] = []
    has_started = threading.Event()

    def read() -> None:
        try:
            with instance.reader() as cursor:
                has_started.set()
                cursor.execute(ENDLESS).fetchall()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    has_started.wait()
    instance.close()
    thread.join()
    assert [type(error) for error in errors] == [InvalidatedError]
    assert not instance.has_active_readers


def test_closing_while_queries_end_does_not_raise(instance: Instance) -> None:
    has_ended = threading.Event()

    def read() -> None:
        while not has_ended.is_set():
            try:
                with instance.reader() as cursor:
                    cursor.execute("SELECT 1").fetchall()
            except (InvalidatedError, duckdb.Error):
                continue

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        # A closed cursor must not be interrupted: that would raise.
        for _ in range(5):
            instance.close()
            instance.open()
    finally:
        has_ended.set()
        for thread in threads:
            thread.join()
    instance.close()
    assert not instance.has_active_readers


def test_closed_instance_has_no_cursors(instance: Instance) -> None:
    instance.close()
    with pytest.raises(InvalidatedError), instance.reader():
        pass
