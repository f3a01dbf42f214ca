"""Unusable files are refused with one line that states what to do, and are not changed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb import schema
from solo_app.storage.duckdb.check import check_database
from solo_app.storage.duckdb.files import wal_path
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.service import counting, open_service, wait_until
from tests.storage.stores import create_block, open_store

pytestmark = pytest.mark.anyio


def refusal(database: Path) -> str:
    with pytest.raises(StoreUnavailableError) as refused:
        check_database(database)
    line = str(refused.value)
    assert "\n" not in line
    assert "SOLO_DATABASE" in line
    return line


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.fixture(scope="module")
async def killed_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a killed process: the second of two batches is in the WAL."""
    folder = tmp_path_factory.mktemp("files")
    database = tmp_path_factory.mktemp("original") / "solo.duckdb"
    for batch_id in ("a", "b"):
        async with open_service(database, few=counting(7)) as service:
            await service.start(batch_id, "few")
            await wait_until(lambda: not service.running())
            for path in (database, wal_path(database)):
                shutil.copy(path, folder)
    return folder


@pytest.fixture
def killed(killed_files: Path, tmp_path: Path) -> Path:
    return shutil.copytree(killed_files, tmp_path / "killed") / "solo.duckdb"


def remove(database: Path) -> None:
    database.unlink()


def replace(content: bytes) -> Callable[[Path], None]:
    return lambda database: (database.write_bytes(content), None)[1]


def flip_header(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[100] ^= 0xFF
    database.write_bytes(content)


def make_newer(database: Path) -> None:
    """Set the storage version to one of a future DuckDB, with a matching checksum."""
    content = bytearray(database.read_bytes())
    struct.pack_into("<Q", content, 12, 2_000)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= (word * 0xBF58476D1CE4E5B9) % 2**64
    struct.pack_into("<Q", content, 0, checksum)
    database.write_bytes(content)


def set_version(database: Path) -> None:
    with duckdb.connect(database) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("UPDATE schema_version SET version = version + 1")


def change_table(database: Path) -> None:
    with duckdb.connect(database) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("ALTER TABLE points RENAME key TO value")


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing, but its WAL exists": (remove, "is missing, but its WAL .*solo.duckdb.wal exists"),
    "empty": (replace(b""), "cannot be opened.*Restore a backup"),
    "garbage": (replace(b"garbage" * 9_999), "cannot be opened.*Restore a backup"),
    "damaged header": (flip_header, "cannot be opened.*Restore a backup"),
    "newer DuckDB": (make_newer, "written by a newer DuckDB"),
    "newer schema": (set_version, rf"newer version of SOLO \(schema {len(schema.MIGRATIONS) + 1},"),
    "another program": (change_table, "belongs to another program: its table points"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_unusable_database_is_refused_and_unchanged(killed: Path, name: str) -> None:
    damage, reason = FAULTS[name]
    damage(killed)
    before = contents(killed.parent)
    line = refusal(killed)
    assert re.search(reason, line)
    assert str(killed) in line
    with pytest.raises(StoreUnavailableError, match=re.escape(line)):
        await DuckDBStore(killed).open()
    assert contents(killed.parent) == before


async def test_files_of_a_killed_process_are_accepted_and_unchanged(killed: Path) -> None:
    before = contents(killed.parent)
    check_database(killed)
    assert contents(killed.parent) == before
    async with open_service(killed) as service:
        assert {b.batch_id: service.row_count(b) for b in service.batches()} == {"a": 7, "b": 7}


async def test_truncated_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "solo.duckdb"
    async with open_store(file) as store:
        await store.write([create_block(1, np.random.default_rng(1).random(50_000).tolist())], {})
    os.truncate(file, file.stat().st_size * 2 // 3)
    line = refusal(file)
    assert re.search("truncated|cannot be opened", line)
    with pytest.raises(StoreUnavailableError, match=re.escape(line)):
        await DuckDBStore(file).open()


async def test_duckdb_silently_opens_a_truncated_database(tmp_path: Path) -> None:
    # The reason for comparing sizes in ``check_content``: remove that if this test fails.
    file = tmp_path / "solo.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute(
            "CREATE TABLE points (batch_no INT, seq BIGINT, ts TIMESTAMP, key DOUBLE)"
        )
        for _ in range(10):
            connection.execute(
                "INSERT INTO points SELECT 1, i, now(), random() FROM range(50000) t(i)"
            )
            connection.execute("CHECKPOINT")
    os.truncate(file, file.stat().st_size // 2)
    with duckdb.connect(file, read_only=True) as connection:
        connection.execute("SELECT * FROM points LIMIT 0")
    assert "truncated" in refusal(file)


@pytest.mark.parametrize("table", ["points(a INTEGER)", "losses(x INTEGER)", "counters(x INTEGER)"])
async def test_tables_of_another_program_are_refused_and_unchanged(
    tmp_path: Path, table: str
) -> None:
    file = tmp_path / "solo.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute(f"CREATE TABLE {table}")
    before = contents(tmp_path)
    line = refusal(file)
    assert "another program" in line
    with pytest.raises(StoreUnavailableError, match=re.escape(line)):
        await DuckDBStore(file).open()
    assert contents(tmp_path) == before


async def test_additional_columns_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "solo.duckdb"
    async with open_service(file, few=counting(3)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
    with duckdb.connect(file) as connection:
        connection.execute("ALTER TABLE batches ADD COLUMN color VARCHAR")
    check_database(file)
    async with open_service(file, few=counting(3)) as service:
        await service.start("other", "few")
        await wait_until(lambda: not service.running())
        assert service.totals().row_count == 6


def test_database_of_another_engine_downloads_no_extension(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "solo.duckdb")) as other:
        other.execute("CREATE TABLE mine (answer INTEGER)")
    assert "download" not in refusal(tmp_path / "solo.duckdb")


async def test_database_in_use_names_the_process(tmp_path: Path) -> None:
    database = tmp_path / ("a-long-name-" * 15) / "solo.duckdb"
    check_in_another_process = (
        "import sys; from pathlib import Path; "
        "from solo_app.storage.duckdb.check import check_database; "
        "check_database(Path(sys.argv[1]))"
    )
    async with open_service(database):
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", check_in_another_process, str(database)),
            stderr=subprocess.PIPE,
        )
        _, error = await program.communicate()
    line = error.decode().splitlines()[-1]
    assert f"in use by another process (process {os.getpid()}). Stop that process" in line


def test_database_that_another_process_reads_is_in_use(tmp_path: Path) -> None:
    file = tmp_path / "solo.duckdb"
    duckdb.connect(file).close()
    reader = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print(1); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-u", "-c", reader, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert "in use by another process" in refusal(file)
        process.kill()


def test_unusable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot be used" in refusal(tmp_path / "file" / "solo.duckdb")
    assert "File name too long" in refusal(tmp_path / ("long" * 80) / "solo.duckdb")
    assert "not writable" in refusal(Path("/sys/solo/solo.duckdb"))


async def test_check_leaves_no_folder(tmp_path: Path) -> None:
    database = tmp_path / "a" / "b" / "solo.duckdb"
    check_database(database)
    assert list(tmp_path.iterdir()) == []
    async with open_service(database):
        assert database.exists()
