"""The file: nothing committed is lost, and a file that cannot be used is told of in one line."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import Batch, BatchStatus, Window
from solo_app.batches.sources import random
from solo_app.storage.duckdb.check import check
from solo_app.storage.duckdb.connection import Instance
from solo_app.storage.duckdb.registry import Registry
from solo_app.storage.duckdb.store import DuckDBStore
from tests.faults.whole import whole
from tests.running_app import PROJECT
from tests.workbench import counting, duckdb_store, open_service, until

pytestmark = pytest.mark.anyio


def test_what_another_kind_of_database_needs_is_not_fetched(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "solo.duckdb")) as other:
        other.execute("CREATE TABLE mine (answer INTEGER)")
    assert "download" not in refusal(tmp_path / "solo.duckdb")


async def test_points_come_back_in_pieces_and_whole(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", few=counting(2_500)) as service:
        await service.start("b", "few")
        await until(lambda: not service.running())
        first = await service.points("b", 0, 1_000)
        rest = await service.points("b", first[-1].seq, 10_000)
        assert [p.key for p in first + rest] == list(range(1, 2_501))
        assert await service.newest_points("b", 2) == rest[-2:]
        assert await service.points("b", 2_500, 10) == []


async def test_what_a_missing_log_held_is_told_after_a_restart_too(tmp_path: Path) -> None:
    database, lost = tmp_path / "solo.duckdb", tmp_path / "lost.duckdb"
    for _ in range(2):
        async with open_service(database, few=counting(3)) as service:
            await service.start("b", "few")
            await until(lambda: not service.running())
            for ending in ("", ".tally"):
                shutil.copy(f"{database}{ending}", f"{lost}{ending}")
    assert "3 committed points are missing (3 of b)" in refusal(lost)


async def test_the_folder_is_made_when_missing(tmp_path: Path) -> None:
    database = tmp_path / "a" / "b" / "solo.duckdb"
    check(database)
    async with open_service(database):
        assert database.exists()


async def test_a_database_in_use_is_told_with_the_process_that_holds_it(tmp_path: Path) -> None:
    database = tmp_path / ("a-long-name-" * 15) / "solo.duckdb"
    async with open_service(database):
        line = told_by_the_program(database)
    assert re.search(rf"in use by another process \(process {os.getpid()}\)", line)
    assert "SOLO_DATABASE" in line


def refusal(database: Path) -> str:
    with pytest.raises(StoreUnavailableError) as refused:
        check(database)
    line = str(refused.value)
    assert "\n" not in line
    assert "SOLO_DATABASE" in line
    return line


async def test_a_damaged_file_is_told_and_not_touched(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    database.write_bytes(b"this was a database once" * 1_000)
    line = refusal(database)
    assert str(database) in line
    assert "good copy" in line
    with pytest.raises(StoreUnavailableError) as refused:
        await DuckDBStore(database).open()
    assert str(refused.value) == line
    assert database.read_bytes() == b"this was a database once" * 1_000


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot be used" in refusal(tmp_path / "file" / "solo.duckdb")
    assert "may not be written" in refusal(Path("/sys/solo/solo.duckdb"))


def told_by_the_program(database: Path) -> str:
    """The one line of `python -m solo_app check`, which must refuse."""
    program = subprocess.run(
        [sys.executable, "-m", "solo_app", "check", str(database)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 1
    assert program.stdout == ""
    (line,) = program.stderr.splitlines()
    return line


async def test_the_registry_keeps_every_run_with_its_end_and_reason(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"

    def broken() -> object:
        raise LookupError("empty")

    async with open_service(database, few=counting(3), broken=broken) as service:  # type: ignore[arg-type]
        for source in ("few", "broken"):
            await service.start("b", source)
            await until(lambda: not service.running())
        runs = await service.runs("b")
    async with open_service(database) as service:
        assert await service.runs("b") == runs
        assert service.batch("b").run == runs[0]
        assert [(r.status, r.reason, r.first_seq, r.last_seq) for r in runs] == [
            (BatchStatus.FAILED, "LookupError: empty", 4, 3),
            (BatchStatus.FINISHED, None, 1, 3),
        ]
        whole = Window(runs[1].started_at.replace(second=0, microsecond=0), service.clock())
        assert sum(m.count for m in await service.minutes("b", whole)) == 3


async def test_the_log_is_folded_in_after_many_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MOST_COMMITS", 5)
    log = tmp_path / "solo.duckdb.wal"
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await until(lambda: log.exists() and log.stat().st_size > 500)
        await until(lambda: not log.exists() or log.stat().st_size < 500)
        await service.stop("b")
        stored = await service.points("b", 0, 10_000)
        assert [p.seq for p in stored] == list(range(1, len(stored) + 1))


async def test_the_log_is_folded_in_only_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MOST_COMMITS", 5)
    log = tmp_path / "solo.duckdb.wal"
    async with open_service(tmp_path / "solo.duckdb") as service:
        with monkeypatch.context() as full:
            full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000}))
            await service.start("b")
            sizes = [0]
            while service.totals().row_count < 30:
                before = service.totals().row_count
                await until(lambda: service.totals().row_count > before)  # noqa: B023
                sizes.append(log.stat().st_size)
            assert sizes == sorted(sizes)
        await until(lambda: not log.exists() or log.stat().st_size < sizes[-1])


@pytest.mark.parametrize("asked", ["its size", "the room beside it", "anything at all"])
async def test_what_goes_wrong_after_a_commit_does_not_commit_it_again(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("solo_app.batches.ingest.RETRY_AFTER", 0.01)
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        if asked == "its size":
            duckdb_store(service)._commits._log._path = tmp_path / ("long" * 99)
        elif asked == "the room beside it":
            monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MOST_COMMITS", 1)
            monkeypatch.setattr("shutil.disk_usage", broken)
        else:
            monkeypatch.setattr(duckdb_store(service)._commits._pool, "committed", broken)
        count = service.totals().row_count
        await until(lambda: service.totals().trouble or service.totals().row_count > count + 5)
        assert not service.totals().trouble
        stopped = await service.stop("b")
    assert whole(tmp_path / "solo.duckdb")["b"].points == stopped.run.last_seq


async def test_a_file_that_is_cut_short_is_told(tmp_path: Path) -> None:
    file = tmp_path / "solo.duckdb"
    async with open_service(file, flood=random(0)) as service:
        await service.start("b", "flood")
        await until(lambda: service.totals().row_count > 200_000)
    os.truncate(file, file.stat().st_size // 2)
    assert "cut short" in refusal(file)


async def test_another_programs_tables_are_told_and_not_touched(tmp_path: Path) -> None:
    for table in ("points(a INTEGER)", "batches(x INTEGER)"):
        file = tmp_path / f"{table[:6]}.duckdb"
        with duckdb.connect(file) as connection:
            connection.execute(f"CREATE TABLE {table}")
        before = file.read_bytes()
        line = refusal(file)
        assert "another program's" in line
        with pytest.raises(StoreUnavailableError, match=re.escape(line)):
            await DuckDBStore(file).open()
        assert file.read_bytes() == before
        assert not file.with_name(f"{file.name}.wal").exists()


def test_a_file_that_another_process_only_reads_is_in_use(tmp_path: Path) -> None:
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


def test_the_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check(tmp_path / "a" / "b" / "solo.duckdb")
    assert list(tmp_path.iterdir()) == []


async def test_an_end_that_could_not_be_recorded_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solo_app.batches.runs._ASK_AGAIN_AFTER", ())
    file = tmp_path / "solo.duckdb"
    async with open_service(file) as service:
        await service.start("b")
        await until(lambda: service.totals().row_count >= 5)

        def refuse(*_: object) -> None:
            raise StoreUnavailableError("no room")

        with monkeypatch.context() as broken:
            broken.setattr(Registry, "end_run", refuse)
            with pytest.raises(StoreUnavailableError):
                await service.stop("b")
        first = service.batch("b").run
        await service.start("b")
        await until(lambda: service.totals().row_count >= (first.last_seq or 0) + 5)
        # What a kill would leave: two runs without an end, and points no minute counts.
        killed = tmp_path / "killed.duckdb"
        shutil.copy(file, killed)
        shutil.copy(f"{file}.wal", f"{killed}.wal")
    async with open_service(killed) as service:
        runs = await service.runs("b")
        stored = await service._store.points(1, 0, 100_000)
        assert len(stored) > (first.last_seq or 0)
        assert service.totals().row_count == len(stored) == runs[0].last_seq
        assert [run.status for run in runs] == [BatchStatus.INTERRUPTED] * 2
        assert (runs[1].last_seq, runs[0].first_seq) == (first.last_seq, (first.last_seq or 0) + 1)


async def test_a_refused_end_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        end_run, tries = Registry.end_run, []

        def refuse_once(registry: Registry, batch: Batch) -> None:
            tries.append(batch)
            if len(tries) == 1:
                raise StoreUnavailableError("no room")
            end_run(registry, batch)

        monkeypatch.setattr(Registry, "end_run", refuse_once)
        assert (await service.stop("b")).status is BatchStatus.STOPPED
        assert len(tries) == 2
        assert (await service.runs("b"))[0].status is BatchStatus.STOPPED


async def test_what_is_asked_before_the_database_is_open_again_is_refused_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[object] = []

    def refuse_twice(instance: Instance) -> duckdb.DuckDBPyConnection:
        if len(refused) < 2:
            refused.append(instance)
            raise duckdb.IOException("not now")
        return reopen(instance)

    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        await until(lambda: service.totals().row_count > 3)
        flush, reopen = service._ingest.flush_minutes, Instance.open

        async def flush_and_give_up() -> None:
            await flush()
            # Nothing is committed from here on that would open it again by itself.
            service._ingest.close_buffer(service.batch("b").no)
            duckdb_store(service)._instance.given_up = True

        monkeypatch.setattr(service._ingest, "flush_minutes", flush_and_give_up)
        monkeypatch.setattr(Instance, "open", refuse_twice)
        assert (await service.stop("b")).status is BatchStatus.STOPPED
        assert [run.status for run in await service.runs("b")] == [BatchStatus.STOPPED]
        assert len(refused) == 2
        refused.clear()
        duckdb_store(service)._instance.given_up = True
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="not now"):
                await service.runs("b")
        assert len(await service.runs("b")) == 1


@pytest.mark.parametrize("earlier", [False, True])
async def test_a_batch_counts_on_beyond_what_fits_into_32_bits(
    tmp_path: Path, earlier: bool
) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database, few=counting(3)) as service:
        await service.start("b", "few")
        await until(lambda: not service.running())
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE minutes SET count = ?", [2**31])
        if earlier:  # As the first versions made it.
            for column in ("first_seq", "last_seq"):
                connection.execute(f"ALTER TABLE runs ALTER {column} TYPE INTEGER")
    async with open_service(database, few=counting(3)) as service:
        await service.start("b", "few")
        await until(lambda: not service.running())
        run, first = await service.runs("b")
        assert (run.status, run.first_seq, run.last_seq) == ("finished", 2**31 + 1, 2**31 + 3)
        assert (first.first_seq, first.last_seq) == (1, 3)
        await service.start("b")
    async with open_service(database) as service:
        assert service.batch("b").status is BatchStatus.INTERRUPTED
