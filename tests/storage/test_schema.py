"""Migrations: databases of earlier versions keep every point, even if a migration is killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import (
    NO_LABELS,
    BatchStatus,
    FileFormat,
    Labels,
    Window,
    to_microseconds,
)
from solo_app.batches.service import BatchService
from solo_app.storage.duckdb import schema
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.running_app import PROJECT
from tests.helpers.service import counting, open_service, silent, wait_until

pytestmark = pytest.mark.anyio

PREVIOUS = Path(__file__).with_name("previous.sql").read_text()
"""The last database format without a schema version (see ``dump_previous.py``)."""

BEGAN = datetime(2026, 3, 1, 10, 0, 50)
ARCHIVED = [(n, BEGAN + timedelta(seconds=20 * (n - 1)), n + 0.25) for n in range(1, 7)]
"""The points of its archive file: ``seq``, ``ts``, ``key``."""

RECENT = [datetime(2026, 3, 6, 10, *when) for when in ((2, 50), (3, 10), (3, 30))]
"""The times of the points of the same batch in the database."""

COUNTERS = {1: (9, 9), 2: (4, 7), 3: (5, 5)}
"""Row count and last ``seq`` by batch, with points of a killed run that no minute includes."""


@pytest.fixture(scope="module")
def previous_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files of the previous release."""
    folder = tmp_path_factory.mktemp("previous")
    database, archive = folder / "solo.duckdb", folder / "solo.duckdb.archive"
    database.with_name("solo.duckdb.tally").write_text("00000000 {}")
    archive.mkdir()
    with duckdb.connect(database) as connection:
        connection.execute(PREVIOUS)
        connection.execute("CREATE TEMP TABLE archived (seq BIGINT, ts TIMESTAMP, key DOUBLE)")
        connection.executemany("INSERT INTO archived VALUES (?, ?, ?)", ARCHIVED)
        ((file,),) = connection.execute("SELECT file FROM archives").fetchall()
        connection.execute(
            "COPY (SELECT 'old' AS batch_id, seq, ts, key FROM archived) "
            f"TO '{archive / file}' (FORMAT parquet, PARQUET_VERSION v2)"
        )
    return folder


@pytest.fixture
def database(previous_files: Path, tmp_path: Path) -> Path:
    return shutil.copytree(previous_files, tmp_path / "previous") / "solo.duckdb"


async def check_all_points(service: BatchService) -> None:
    points = {b.batch_id: await service.points(b.batch_id, 0, 100) for b in service.batches()}
    assert {name: [p.seq for p in found] for name, found in points.items()} == {
        "old": [*range(1, 10)],
        "lossy": [4, 5, 6, 7],
        "killed": [1, 2, 3, 4, 5],
    }
    assert [(p.seq, p.ts, p.key) for p in points["old"][:6]] == ARCHIVED
    counters = {b.no: (service.row_count(b), service.last_seq(b)) for b in service.batches()}
    assert counters == COUNTERS
    assert service.totals().row_count == 18
    month = Window(datetime(2026, 3, 1), datetime(2026, 4, 1))
    for batch_id, found in points.items():
        minutes = await service.minutes(batch_id, month)
        assert sum(m.count for m in minutes) == len(found)
        assert sum(m.sum for m in minutes) == sum(p.key for p in found)


async def test_previous_database_keeps_every_point(database: Path) -> None:
    for _ in range(2):
        async with open_service(database) as service:
            await check_all_points(service)
            (run,) = await service.runs("killed")
            assert (run.status, run.last_seq) == (BatchStatus.INTERRUPTED, 5)
            assert [r.last_seq for r in await service.runs("lossy")] == [7, 3]
        names = {path.name for path in database.parent.iterdir()}
        assert names == {"solo.duckdb", "solo.duckdb.archive"}
    with duckdb.connect(database) as connection:
        assert schema.version(connection) == len(schema.MIGRATIONS)
        tables = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    assert "losses" not in tables


async def test_next_run_continues_after_lost_points(database: Path) -> None:
    async with open_service(database, few=counting(3)) as service:
        for batch_id in ("lossy", "old"):
            await service.start(batch_id, "few")
            await wait_until(lambda: not service.running())
        assert service.batch("lossy").run.first_seq == 8
        assert [p.seq for p in await service.points("lossy", 0, 100)] == [*range(4, 11)]
        assert service.row_count(service.batch("lossy")) == 7
        assert service.last_seq(service.batch("lossy")) == 10
        assert service.batch("old").run.first_seq == 10


async def test_lost_points_within_an_archive_file_are_not_counted(database: Path) -> None:
    with duckdb.connect(database) as connection:
        # Of the nine points, 3 and 4 are lost; the others up to 6 are in the file.
        connection.execute("DELETE FROM minutes WHERE batch_no = 1 AND minute < '2026-03-02'")
        connection.execute(
            "INSERT INTO minutes VALUES (1, '2026-03-01 10:00:00', 4, 14, 1.25, 6.25)"
        )
        connection.execute("INSERT INTO losses VALUES (1, 3, 4)")
    async with open_service(database) as service:
        batch = service.batch("old")
        assert (service.row_count(batch), service.last_seq(batch)) == (7, 9)


async def test_run_without_end_before_another_is_interrupted(database: Path) -> None:
    with duckdb.connect(database) as connection:
        connection.execute(
            "UPDATE runs SET status = 'running', ended_at = NULL, last_seq = NULL "
            "WHERE batch_no = 1 AND number = 1"
        )
    async with open_service(database) as service:
        await check_all_points(service)
        later, earlier = await service.runs("old")
        assert later.status is BatchStatus.STOPPED
        assert (earlier.status, earlier.last_seq) == (BatchStatus.INTERRUPTED, 6)
        assert earlier.ended_at == later.started_at


async def test_lost_points_at_the_start_are_skipped(database: Path) -> None:
    with duckdb.connect(database) as connection:
        # Lose more points than one page contains.
        connection.execute("UPDATE points SET seq = seq + 5000 WHERE batch_no = 2")
        connection.execute("UPDATE runs SET first_seq = 5004, last_seq = 5007 WHERE batch_no = 2")
        connection.execute("UPDATE losses SET last_seq = 5003")
    async with open_service(database) as service:
        assert [p.seq for p in await service.points("lossy", 0, 2)] == [5004, 5005]
        assert [p.seq for p in await service.points("lossy", 5005, 100)] == [5006, 5007]
        download = await service.download("lossy", FileFormat.CSV)
        text = b"".join([piece async for piece in download.chunks]).decode()
        assert [line.split(",")[0] for line in text.splitlines()[1:]] == [
            "5004",
            "5005",
            "5006",
            "5007",
        ]


async def test_database_of_the_first_versions_opens(database: Path) -> None:
    with duckdb.connect(database) as connection:
        for column in ("first_seq", "last_seq"):
            connection.execute(f"ALTER TABLE runs ALTER {column} TYPE INTEGER")
        connection.execute("DROP TABLE archives")
        connection.execute("DROP TABLE losses")
        connection.execute("UPDATE points SET seq = seq - 6 WHERE batch_no = 1")
        connection.execute("DELETE FROM points WHERE batch_no = 2")
        connection.execute("DELETE FROM minutes WHERE batch_no = 2 OR minute < '2026-03-02'")
    async with open_service(database, few=counting(3)) as service:
        assert service.totals().row_count == 3 + 5
        await service.start("old", "few")
        await wait_until(lambda: not service.running())
        assert [p.seq for p in await service.points("old", 0, 100)] == [1, 2, 3, 4, 5, 6]


async def test_batches_of_the_previous_version_restart_as_random(database: Path) -> None:
    with duckdb.connect(database) as connection:
        schema.migrate(connection, schema.MIGRATIONS[:2])
        assert schema.version(connection) == 2
        connection.execute("UPDATE runs SET source = 'random'")
    async with open_service(database, resume=True) as service:
        # This batch was running when the previous version was killed.
        assert [batch.batch_id for batch in service.running()] == ["killed"]
        restarted = [service.batch("killed"), await service.start("old")]
        for batch in restarted:
            run = batch.run
            assert (run.source, run.parameters, run.restart) == ("random", {}, "never")
            assert (run.number, batch.labels) == (2 if batch.no == 3 else 3, NO_LABELS)
            assert service.parameters(run)["low"] == 0
            await wait_until(lambda: service.last_seq(batch) > batch.run.first_seq)  # noqa: B023
        await service.stop("old")
        await service.change_labels("old", "°C", "Kiln")
        await service.delete("lossy")
    async with open_service(database) as service:
        assert service.batch("old").labels == Labels("°C", "Kiln")
        assert len(service.batches()) == 2


async def test_migrated_and_new_databases_have_the_same_tables(
    database: Path, tmp_path: Path
) -> None:
    async def columns(path: Path) -> list[tuple[object, ...]]:
        store = DuckDBStore(path)
        await store.open()
        await store.close()
        with duckdb.connect(path) as connection:
            return connection.execute(
                "SELECT table_name, column_name, data_type, is_nullable "
                "FROM duckdb_columns() ORDER BY ALL"
            ).fetchall()

    assert await columns(database) == await columns(tmp_path / "new.duckdb")


async def test_migration_can_add_a_column(database: Path) -> None:
    with duckdb.connect(database) as connection:
        added = ("ALTER TABLE batches ADD COLUMN color VARCHAR",)
        schema.migrate(connection, (*schema.MIGRATIONS, added))
        assert schema.version(connection) == len(schema.MIGRATIONS) + 1
        connection.execute("SELECT color FROM batches")
        assert connection.execute("SELECT count(*) FROM points").fetchall() == [(12,)]
    with pytest.raises(StoreUnavailableError, match="newer version of SOLO"):
        await DuckDBStore(database).open()


MIGRATE = """
import os, signal, sys
import duckdb
from solo_app.storage.duckdb import schema

class DyingCursor:
    def __init__(self, cursor, statements):
        self.cursor, self.statements = cursor, statements

    def execute(self, statement):
        self.statements -= 1
        if self.statements < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.cursor.execute(statement)

for folder, statements in zip(sys.argv[1::2], sys.argv[2::2]):
    child = os.fork()
    if not child:
        with duckdb.connect(f"{folder}/solo.duckdb") as connection:
            schema.migrate(DyingCursor(connection, int(statements)))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

FIRST, SECOND, THIRD = (len(statements) + 5 for statements in schema.MIGRATIONS)
"""Number of statements per migration, including BEGIN, COMMIT and three to set the version."""


KILLS = {
    "within the first migration": 5,
    "before the first commit": 1 + FIRST - 1,
    "after the first commit": 1 + FIRST,
    "after dropping a table": 1 + FIRST + 4,
    "before the second commit": 1 + FIRST + SECOND - 1,
    "after adding a column": 1 + FIRST + SECOND + 2,
    "before the last commit": 1 + FIRST + SECOND + THIRD - 1,
    "after the last commit": 1 + FIRST + SECOND + THIRD,
}
"""Number of statements before the process is killed. The last entry lets the migration complete."""


@pytest.fixture(scope="module")
def killed_migrations(previous_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each entry of ``KILLS``, with a database whose migration was killed."""
    folder = tmp_path_factory.mktemp("killed")
    arguments = []
    for moment, statements in KILLS.items():
        arguments += [str(shutil.copytree(previous_files, folder / moment)), str(statements)]
    command = [sys.executable, "-c", MIGRATE, *arguments]
    printed = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    assert printed.stdout.split() == [*[str(-signal.SIGKILL)] * (len(KILLS) - 1), "0"]
    return folder


@pytest.mark.parametrize("moment", KILLS)
async def test_next_start_repeats_a_killed_migration(killed_migrations: Path, moment: str) -> None:
    database = killed_migrations / moment / "solo.duckdb"
    async with open_service(database, script=silent) as service:
        await check_all_points(service)
        for batch in service.batches():
            run = (await service.start(batch.batch_id)).run
            assert (run.source, run.parameters, run.restart) == ("script", {}, "never")


IN_TOKYO = """
import asyncio, json, pathlib, sys
from datetime import datetime, timedelta
import duckdb
from solo_app.batches.models import FileFormat, Selection
from solo_app.batches.retention import Retention
from solo_app.storage.duckdb.store import DuckDBStore

async def main(database):
    store = DuckDBStore(database)
    await store.open()
    await Retention(store, timedelta(days=1), lambda: datetime(2026, 4, 1)).archive_old_points()
    points = await store.points(1, 0, 100)
    span = datetime(2026, 3, 1, 10, 2), datetime(2026, 3, 6, 10, 3)
    csv = (await store.download(FileFormat.CSV, Selection(1, 9, *span))).chunks
    text = b"".join([piece async for piece in csv]).decode()
    await store.close()
    files = sorted(database.with_name("solo.duckdb.archive").glob("000001-*"))
    with duckdb.connect() as plain:
        plain.execute("SET TimeZone = 'America/New_York'")
        query = "SELECT DISTINCT typeof(ts), min(epoch_us(ts)) FROM read_parquet(?) GROUP BY ALL"
        found = [plain.execute(query, [str(file)]).fetchall() for file in files]
    times = [point.ts.isoformat() for point in points]
    print(json.dumps([times, text.splitlines()[1:], found]))

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def test_archive_files_with_and_without_time_zone_are_utc(database: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", IN_TOKYO, str(database)],
        cwd=PROJECT,
        env={"TZ": "Asia/Tokyo", "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    times, csv, types = json.loads(printed)
    expected = [ts for _, ts, _ in ARCHIVED] + RECENT
    assert [datetime.fromisoformat(ts) for ts in times] == expected
    assert [line.split(",")[:2] for line in csv] == [
        ["5", "2026-03-01T10:02:10.000000Z"],
        ["6", "2026-03-01T10:02:30.000000Z"],
        ["7", "2026-03-06T10:02:50.000000Z"],
    ]
    began, later = (to_microseconds(expected[n]) for n in (0, 6))
    assert types == [[["TIMESTAMP", began]], [["TIMESTAMP WITH TIME ZONE", later]]]
