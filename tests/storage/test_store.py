"""The store: what is committed is stored once, and survives restarts and refused writes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import Batch, BatchStatus, Window
from solo_app.storage.duckdb.connection import Instance
from solo_app.storage.duckdb.registry import Registry
from tests.faults.whole import whole
from tests.workbench import counting, duckdb_store, newest_points, open_service, until

pytestmark = pytest.mark.anyio


async def test_points_come_back_in_pieces_and_whole(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", few=counting(2_500)) as service:
        await service.start("b", "few")
        await until(lambda: not service.running())
        first = await service.points("b", 0, 1_000)
        rest = await service.points("b", first[-1].seq, 10_000)
        assert [p.key for p in first + rest] == list(range(1, 2_501))
        assert await newest_points(service, "b", 2) == rest[-2:]
        assert await service.points("b", 2_500, 10) == []


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
    monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MAX_COMMITS", 5)
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
    monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MAX_COMMITS", 5)
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


@pytest.mark.parametrize("asked", ["its size", "the room beside it"])
async def test_what_goes_wrong_after_a_commit_does_not_commit_it_again(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("solo_app.batches.ingest.RETRY_AFTER", 0.01)
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        if asked == "its size":
            duckdb_store(service)._commits._wal._path = tmp_path / ("long" * 99)
        else:
            monkeypatch.setattr("solo_app.storage.duckdb.checkpoints.MAX_COMMITS", 1)
            monkeypatch.setattr("shutil.disk_usage", broken)
        count = service.totals().row_count
        await until(lambda: service.totals().trouble or service.totals().row_count > count + 5)
        assert not service.totals().trouble
        stopped = await service.stop("b")
    assert whole(tmp_path / "solo.duckdb")["b"].points == stopped.run.last_seq


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

        async def flush_and_invalidate() -> None:
            await flush()
            # Nothing is committed from here on that would open it again by itself.
            service._ingest.close_buffer(service.batch("b").no)
            duckdb_store(service)._instance.invalidated = True

        monkeypatch.setattr(service._ingest, "flush_minutes", flush_and_invalidate)
        monkeypatch.setattr(Instance, "open", refuse_twice)
        assert (await service.stop("b")).status is BatchStatus.STOPPED
        assert [run.status for run in await service.runs("b")] == [BatchStatus.STOPPED]
        assert len(refused) == 2
        refused.clear()
        duckdb_store(service)._instance.invalidated = True
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="not now"):
                await service.start("b")
        await service.start("b")
        assert len(await service.runs("b")) == 2


async def test_seq_continues_beyond_32_bits(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database, few=counting(3)) as service:
        await service.start("b", "few")
        await until(lambda: not service.running())
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE counters SET row_count = $n, last_seq = $n", {"n": 2**31})
    async with open_service(database, few=counting(3)) as service:
        await service.start("b", "few")
        await until(lambda: not service.running())
        run, first = await service.runs("b")
        assert (run.status, run.first_seq, run.last_seq) == ("finished", 2**31 + 1, 2**31 + 3)
        assert (first.first_seq, first.last_seq) == (1, 3)
        await service.start("b")
    async with open_service(database) as service:
        assert service.batch("b").status is BatchStatus.INTERRUPTED
