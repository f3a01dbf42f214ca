"""Damaged files: the start refuses with one line, changes nothing, and a repair keeps all aside."""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb.check import check
from solo_app.storage.duckdb.repair import repair
from solo_app.storage.duckdb.store import DuckDBStore
from solo_app.storage.duckdb.tally import tally_of
from tests.faults.conftest import SmallDisk
from tests.faults.test_kill import killed_while_writing
from tests.faults.whole import whole
from tests.past import write_long_past
from tests.running_app import PROJECT, RunningApp
from tests.workbench import counting, open_service, until

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 23, 10, 11, 12)


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A database whose process was killed while it wrote, with its log and its tally.

    And how many points of ``b0`` and ``b1`` it had told of before.
    """
    database = tmp_path_factory.mktemp("killed") / "solo.duckdb"
    asyncio.run(_one_ended_batch(database))
    return database, killed_while_writing(database, after_lines=80)


async def _one_ended_batch(database: Path) -> None:
    async with open_service(database, few=counting(7)) as service:
        await service.start("ended", "few")
        await until(lambda: not service.running())


@pytest.fixture
def database(killed: tuple[Path, list[int]], tmp_path: Path) -> Path:
    """A copy of it to do harm to."""
    for file in killed[0].parent.iterdir():
        shutil.copy2(file, tmp_path)
    return tmp_path / killed[0].name


def log_of(database: Path) -> Path:
    return Path(f"{database}.wal")


def contents(database: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in database.parent.iterdir() if not file.is_dir()}


def cut_log(part: float) -> Callable[[Path], None]:
    def harm(database: Path) -> None:
        os.truncate(log_of(database), int(log_of(database).stat().st_size * part))

    return harm


def replace(name: str, content: bytes) -> Callable[[Path], None]:
    def harm(database: Path) -> None:
        (database.parent / name).write_bytes(content)

    return harm


def remove(name: str) -> Callable[[Path], None]:
    return lambda database: (database.parent / name).unlink()


def flip(file: Path, offset: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        (byte,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ 0xFF]))


def damage(database: Path, table: str) -> None:
    with duckdb.connect(database, read_only=True) as connection:
        ((block, offset),) = connection.execute(
            f"SELECT block_id, block_offset FROM pragma_storage_info('{table}') "
            "WHERE persistent AND segment_type != 'VALIDITY' AND block_id >= 0 LIMIT 1"
        ).fetchall()
    flip(database, 3 * 4096 + block * 262_144 + 8 + offset)


def flip_in_log(database: Path) -> None:
    flip(log_of(database), log_of(database).stat().st_size // 2)


def flip_header(database: Path) -> None:
    flip(database, 100)


def make_newer(database: Path) -> None:
    """Number the file as one of a later DuckDB would be, with a checksum that fits."""
    content = bytearray(database.read_bytes())
    struct.pack_into("<Q", content, 12, 2_000)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= (word * 0xBF58476D1CE4E5B9) % 2**64
    struct.pack_into("<Q", content, 0, checksum)
    database.write_bytes(content)


HARMS: dict[str, tuple[Callable[[Path], None], str, bool]] = {
    "log cut to nothing": (cut_log(0), "committed points are missing", True),
    "log cut to its half": (cut_log(0.5), "committed points are missing", True),
    # Several commits, however slow the machine: of the very last one nobody may have been told.
    "log without its end": (cut_log(0.75), "committed points are missing", True),
    "log missing": (remove("solo.duckdb.wal"), "committed points are missing", True),
    "log of garbage": (replace("solo.duckdb.wal", b"garbage" * 99), "its log .* is damaged", True),
    "log with a wrong byte": (flip_in_log, "cannot be opened|points are missing", True),
    "database missing": (remove("solo.duckdb"), "is gone, but .*wal", False),
    "database empty": (replace("solo.duckdb", b""), "cannot be opened", False),
    "database of garbage": (replace("solo.duckdb", b"garbage" * 99), "cannot be opened", False),
    "database with a wrong byte in its head": (flip_header, "cannot be opened", False),
    "database of a newer DuckDB": (make_newer, "newer DuckDB", False),
}


@pytest.mark.parametrize("name", HARMS)
async def test_a_damaged_file_is_refused_and_nothing_is_made_worse(
    database: Path, killed: tuple[Path, list[int]], name: str
) -> None:
    harm, told, can_be_repaired = HARMS[name]
    harm(database)
    before = contents(database)
    for attempt in (asyncio.to_thread(check, database), DuckDBStore(database).open()):
        with pytest.raises(StoreUnavailableError, match=told) as refused:
            await attempt
        line = str(refused.value)
        assert "\n" not in line
        assert str(database) in line
        assert "SOLO_DATABASE" in line
        assert ("store repair" in line) >= can_be_repaired
        assert contents(database) == before

    if not can_be_repaired:
        with pytest.raises(StoreUnavailableError):
            repair(database, NOW)
        assert contents(database) == before
        return
    answer = repair(database, NOW)
    kept = database.with_name("solo.duckdb.kept-20261123T101112Z")
    assert str(kept) in answer
    assert contents(kept / "x") == before
    check(database)
    async with open_service(database) as service:
        for batch in service.batches():
            rows = service.row_count(batch)
            await service.start(batch.batch_id)
            await until(lambda: service.row_count(batch) > rows)  # noqa: B023
        # What somebody saw under a seq is gone, and nothing else ever comes under it.
        for batch_id, seen in zip(("b0", "b1"), killed[1], strict=True):
            latest, *earlier = await service.runs(batch_id)
            assert latest.first_seq > seen
            if "committed points are missing" in answer:
                assert "were lost" in (earlier[0].reason or "") or batch_id not in answer
    whole(database)


async def test_what_a_kill_leaves_is_whole_and_an_orderly_end_leaves_one_file(
    database: Path,
) -> None:
    assert tally_of(database).exists()
    check(database)
    async with open_service(database):
        pass
    assert list(contents(database)) == ["solo.duckdb"]
    whole(database)


async def test_a_tally_that_is_older_or_cannot_be_read_says_nothing(database: Path) -> None:
    for content in (b"", b"garbage", b"00000000 {}", tally_of(database).read_bytes()[:20]):
        tally_of(database).write_bytes(content)
        check(database)


async def test_what_can_be_read_of_a_damaged_block_is_kept(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    async with open_service(database) as service:
        await service.start("b")
        await until(lambda: service.totals().row_count > 3)
        await service.stop("b")
        stored = service.totals().row_count
    with duckdb.connect(database) as connection:
        connection.execute(
            "INSERT INTO points SELECT 1, range + ?, TIMESTAMP '2026-11-23' + "
            "to_milliseconds(range), random() FROM range(1, 1000001)",
            [stored],
        )
        connection.execute("DELETE FROM minutes")
        connection.execute(
            "INSERT INTO minutes SELECT 1, date_trunc('minute', ts), count(*), sum(key), "
            "min(key), max(key) FROM points GROUP BY 2"
        )
    flip(database, 3_000_000)
    async with open_service(database) as service:
        answers = [service.points("b", after, 10_000) for after in range(0, 1_000_000, 10_000)]
        told = await asyncio.gather(*answers, return_exceptions=True)
        failed = [answer for answer in told if not isinstance(answer, list)]
        assert 0 < len(failed) < len(told)
        assert {type(failure) for failure in failed} == {StoreUnavailableError}
    before = database.read_bytes()
    database.chmod(0o600)
    answer = repair(database, NOW)
    assert database.stat().st_mode & 0o777 == 0o600
    assert "points could not be read" in answer
    kept = database.with_name("solo.duckdb.kept-20261123T101112Z")
    assert (kept / "solo.duckdb").read_bytes() == before
    async with open_service(database) as service:
        assert service.totals().row_count == 1_000_000 + stored
        await service.start("b")
        assert service.batch("b").run.first_seq == 1_000_001 + stored
        await service.start("another")
    with duckdb.connect(database, read_only=True) as connection:
        ((stored_now, distinct),) = connection.execute(
            "SELECT count(*), count(DISTINCT seq) FROM points WHERE batch_no = 1"
        ).fetchall()
    assert 700_000 < stored_now == distinct < 1_000_000


@pytest.mark.parametrize("table", ["batches", "runs", "minutes"])
async def test_what_cannot_be_done_without_is_told_and_not_called_repaired(
    tmp_path: Path, table: str
) -> None:
    database = tmp_path / "solo.duckdb"
    past = datetime(2026, 11, 20)
    write_long_past(database, ["a", "b"], 5_000, timedelta(seconds=60), past)
    damage(database, table)
    before = contents(database)
    for attempt in (asyncio.to_thread(check, database), DuckDBStore(database).open()):
        with pytest.raises(StoreUnavailableError, match=r"cannot be opened.*SOLO_DATABASE"):
            await attempt
        assert contents(database) == before
    with pytest.raises(StoreUnavailableError, match="cannot be repaired; it is as it was"):
        repair(database, NOW)
    assert contents(database) == before


KILLED_REPAIR = """
import os, pathlib, shutil, sys
from datetime import datetime
import duckdb

left = int(sys.argv[2])

def dying(call):
    def step(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return call(*args, **kwargs)
    return step

for module, names in (
    (pathlib.Path, ["mkdir", "replace", "unlink"]),
    (os, ["link", "fsync"]),
    (shutil, ["copy2", "copyfileobj", "move", "rmtree"]),
    (duckdb, ["connect"]),
):
    for name in names:
        setattr(module, name, dying(getattr(module, name)))

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb.repair import repair

try:
    repair(pathlib.Path(sys.argv[1]), datetime(2026, 11, 23))
except StoreUnavailableError:
    pass
"""


def repaired_until_killed(database: Path, steps: int) -> bool:
    """Begin a repair in a process that is killed after so many steps; whether it was."""
    command = [sys.executable, "-c", KILLED_REPAIR, str(database), str(steps)]
    ended = subprocess.run(command, cwd=PROJECT, check=False).returncode
    assert ended in {0, 9}
    return ended == 9


def copies_of(folder: Path, to: Path) -> Iterator[Path]:
    """One folder after the other with the same files in it."""
    for number in count():
        yield Path(shutil.copytree(folder, to / str(number)))


def points_of(database: Path) -> list[tuple[int, ...]]:
    with duckdb.connect(database, read_only=True) as connection:
        query = "SELECT batch_no, max(seq), count(*) FROM points GROUP BY batch_no ORDER BY 1"
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("name", ["nothing", "log with a wrong byte"])
async def test_a_repair_that_is_killed_at_any_step_loses_nothing_and_can_be_done_again(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    database = tmp_path / "solo.duckdb"
    await _one_ended_batch(database)
    killed_while_writing(database, after_lines=5)
    if name != "nothing":
        HARMS[name][0](database)
    copies = copies_of(tmp_path, tmp_path_factory.mktemp("copies"))
    undisturbed = next(copies) / database.name
    repair(undisturbed, NOW)
    for steps, folder in enumerate(copies):
        copy = folder / database.name
        was_killed = repaired_until_killed(copy, steps)
        try:
            check(copy)
        except StoreUnavailableError as refused:
            assert "store repair" in str(refused)  # noqa: PT017 (it need not refuse)
            repair(copy, NOW)
        async with open_service(copy):
            pass
        assert points_of(copy) == points_of(undisturbed)
        whole(copy)
        if not was_killed:
            assert steps > 10
            break


@pytest.mark.parametrize("is_linked", [False, True])
async def test_a_repair_leaves_owner_rights_and_links_as_they_were(
    tmp_path: Path, is_linked: bool
) -> None:
    database = tmp_path / "solo.duckdb"
    await _one_ended_batch(database)
    database.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(database, 1234, 1234)
    there = tmp_path / "elsewhere" / "data.duckdb" if is_linked else database
    if is_linked:
        there.parent.mkdir()
        shutil.move(database, there)
        database.symlink_to(there.relative_to(tmp_path))
    before, was = there.read_bytes(), there.stat()
    repair(database, NOW)
    assert database.is_symlink() == is_linked
    assert points_of(there)
    (kept,) = tmp_path.glob("solo.duckdb.kept-*/solo.duckdb")
    assert kept.read_bytes() == before
    assert not kept.is_symlink()
    for file in (there, kept):
        is_now = file.stat()
        assert (is_now.st_mode, is_now.st_uid) == (was.st_mode, was.st_uid)


def test_a_repair_that_fails_or_is_killed_before_changes_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = tmp_path / "solo.duckdb"
    write_long_past(database, ["a"], 5_000, timedelta(seconds=60), datetime(2026, 11, 20))
    damage(database, "minutes")
    copies = copies_of(tmp_path, tmp_path_factory.mktemp("copies"))
    for steps, folder in enumerate(copies):
        was_killed = repaired_until_killed(folder / database.name, steps)
        left = contents(folder / database.name)
        assert {name: left[name] for name in left if name[0] != "."} == contents(database)
        if not was_killed:
            assert steps > 5
            break


def test_a_repair_changes_nothing_before_what_it_made_is_on_the_disk(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk: set[int] = set()
    put_there: list[Path] = []
    sync, put = os.fsync, Path.replace

    def fsync(opened: int) -> None:
        sync(opened)
        on_disk.add(os.fstat(opened).st_ino)

    def put_in_place(new: Path, place: Path) -> Path:
        kept = database.with_name("solo.duckdb.kept-20261123T101112Z")
        assert contents(kept / "x") == before
        assert {file.stat().st_ino for file in (new, kept, database.parent)} <= on_disk
        put_there.append(place)
        return put(new, place)

    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr(Path, "replace", put_in_place)
    before = contents(database)
    repair(database, NOW)
    assert list(contents(database)) == [database.name]
    assert put_there == [database]


@pytest.mark.parametrize("links", [True, False])
def test_a_repair_without_room_is_told_and_leaves_nothing_behind(
    killed: tuple[Path, list[int]],
    small_disk: Callable[[int], SmallDisk],
    monkeypatch: pytest.MonkeyPatch,
    links: bool,
) -> None:
    needed = sum(file.stat().st_size for file in killed[0].parent.iterdir())
    disk = small_disk(8 + 4 * needed // 2**20)
    for file in killed[0].parent.iterdir():
        shutil.copy2(file, disk.path)
    database = disk.path / killed[0].name
    if not links:
        monkeypatch.setattr("os.link", unlinkable)
    with disk.filled_up_to(needed // 2 if links else needed + 2**20):
        before = sorted(disk.path.iterdir()), contents(database)
        with pytest.raises(StoreUnavailableError, match="There is no room left on the disk"):
            repair(database, NOW)
        assert (sorted(disk.path.iterdir()), contents(database)) == before
    repair(database, NOW)
    whole_after_a_start(database)


def unlinkable(*_: object) -> None:
    raise PermissionError


def whole_after_a_start(database: Path) -> None:
    async def start() -> None:
        async with open_service(database):
            pass

    asyncio.run(start())
    whole(database)


def test_a_disk_that_may_only_be_read_is_told(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(8)
    database = disk.path / "solo.duckdb"
    duckdb.connect(database).close()
    before = database.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(disk.path)], check=True)
    with pytest.raises(StoreUnavailableError, match=r"may not be written.*SOLO_DATABASE"):
        check(database)
    assert database.read_bytes() == before


def test_the_program_refuses_tells_the_way_out_and_the_way_out_works(
    database: Path, new_app: Callable[..., RunningApp]
) -> None:
    log_of(database).unlink()
    app = new_app("prod", database)
    assert app.launch().wait(60) != 0
    (line,) = [x for x in app.output().splitlines() if "SOLO cannot start" in x]
    assert app.output().rstrip().endswith(line)
    told = line.partition("python -m ")[2].split()
    done = subprocess.run(
        [sys.executable, "-m", *told], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "committed points are missing" in done.stdout
    app.start()
    assert app.stop() < 2
