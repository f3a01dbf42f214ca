"""When checkpoints are due, and that they wait for free space."""

from __future__ import annotations

import os
from pathlib import Path

from solo_app.storage.duckdb.checkpoints import MAX_COMMITS, MAX_WAL_BYTES, Wal
from solo_app.storage.duckdb.files import wal_path
from tests.storage.conftest import FullDisk


def commit(wal: Wal, count: int) -> bool:
    """Count commits. Returns whether a checkpoint was due after any of them."""
    return any(wal.record_commit() for _ in range(count))


def test_checkpoint_is_due_after_many_commits(tmp_path: Path) -> None:
    wal = Wal(tmp_path / "solo.duckdb")
    for _ in range(2):
        assert not commit(wal, MAX_COMMITS - 1)
        assert commit(wal, 1)
        wal.record_checkpoint()


def test_checkpoint_is_due_for_a_large_wal(tmp_path: Path) -> None:
    wal = Wal(tmp_path / "solo.duckdb")
    file = wal_path(tmp_path / "solo.duckdb")
    file.touch()
    os.truncate(file, MAX_WAL_BYTES - 1)
    assert not commit(wal, 1)
    os.truncate(file, MAX_WAL_BYTES)
    assert commit(wal, 1)


def test_checkpoint_waits_for_free_space(tmp_path: Path, full_disk: FullDisk) -> None:
    wal = Wal(tmp_path / "solo.duckdb")
    with full_disk():
        assert not commit(wal, MAX_COMMITS + 10)
    assert commit(wal, 1)


def test_inaccessible_wal_has_size_0(tmp_path: Path) -> None:
    wal = Wal(tmp_path / ("long" * 99))
    assert wal.size == 0
    assert commit(wal, MAX_COMMITS)


def test_inaccessible_folder_has_no_space(tmp_path: Path) -> None:
    wal = Wal(tmp_path / "missing" / "solo.duckdb")
    assert not wal.has_space
    assert not commit(wal, MAX_COMMITS)
