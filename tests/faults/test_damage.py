"""Killed processes, damaged blocks and read-only disks."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb.check import check_database
from tests.faults.test_kill import kill_while_writing, write
from tests.helpers.integrity import check_integrity
from tests.helpers.running_app import RunningApp
from tests.helpers.service import open_service, wait_until
from tests.helpers.small_disk import SmallDisk

pytestmark = pytest.mark.anyio


def flip(file: Path, offset: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        (byte,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ 0xFF]))


async def test_clean_close_after_a_kill_leaves_one_intact_file(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    kill_while_writing(database, write, after_messages=80)
    check_database(database)
    async with open_service(database):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["solo.duckdb"]
    check_integrity(database)


async def test_damaged_block_fails_only_queries_for_its_points(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 3)
        await service.stop("b")
        stored = service.totals().row_count
    with duckdb.connect(database) as connection:
        connection.execute(
            "INSERT INTO points SELECT 1, range + ?, TIMESTAMP '2026-11-23' + "
            "to_milliseconds(range), random() FROM range(1, 1000001)",
            [stored],
        )
        connection.execute("UPDATE counters SET row_count = $n, last_seq = $n", {"n": 1_000_000})
    flip(database, 3_000_000)
    check_database(database)
    async with open_service(database) as service:
        queries = [service.points("b", after, 100) for after in range(0, 1_000_000, 10_000)]
        results = await asyncio.gather(*queries, return_exceptions=True)
        failed = [result for result in results if not isinstance(result, list)]
        assert 0 < len(failed) < len(results)
        assert {type(failure) for failure in failed} == {StoreUnavailableError}


def test_read_only_disk_is_refused(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(8)
    database = disk.path / "solo.duckdb"
    duckdb.connect(database).close()
    before = database.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(disk.path)], check=True)
    with pytest.raises(StoreUnavailableError, match=r"not writable.*SOLO_DATABASE"):
        check_database(database)
    assert database.read_bytes() == before


def test_app_refuses_a_damaged_database_with_one_line(
    tmp_path: Path, new_app: Callable[..., RunningApp]
) -> None:
    database = tmp_path / "solo.duckdb"
    database.write_bytes(b"garbage" * 9_999)
    app = new_app(database)
    assert app.launch().wait(60) != 0
    (line,) = [x for x in app.output().splitlines() if "SOLO cannot start" in x]
    assert app.output().rstrip().endswith(line)
    assert "Restore a backup" in line
