"""The source ``replay``, with real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from solo_app.batches.errors import SourceError
from solo_app.batches.models import BatchStatus, RestartPolicy, utc_now
from solo_app.batches.service import BatchService
from solo_app.config import Settings, SettingsError
from solo_app.sources import create_sources
from solo_app.sources.replay import REPLAY, ReplayParameters
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, open_service, wait_until

SECRET = "s3cret"

NewFile = Callable[[str, str | bytes], Path]


class Log:
    """A run that keeps its log lines."""

    idle_seconds = 0.0

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str) -> None:
        self.lines += text.splitlines()


@pytest.fixture
def new_file(tmp_path: Path) -> NewFile:
    def create(name: str, content: str | bytes) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return create


def write_parquet(file: Path, query: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
    return file


def create_parameters(file: Path, **values: Any) -> ReplayParameters:
    values = {"path": str(file), "column": "v", "speed": 0, **values}
    context = {"folder": file.parent, "is_startup_check": False}
    return ReplayParameters.model_validate(values, context=context)


async def replay(file: Path, log: Log | None = None, **values: Any) -> list[float]:
    """Return the numbers of a file, as fast as possible."""
    numbers: list[float] = []
    async for array in REPLAY.read(create_parameters(file, **values), log or Log()):
        assert isinstance(array, np.ndarray)
        numbers += array.tolist()
    return numbers


async def arrival_times(file: Path, **values: Any) -> list[float]:
    """Return when the numbers of a file arrive, in seconds since the start of the replay."""
    clock = asyncio.get_running_loop().time
    start = clock()
    times = []
    async with asyncio.timeout(10):
        async for array in REPLAY.read(create_parameters(file, **values), Log()):
            assert isinstance(array, np.ndarray)
            times += len(array) * [clock() - start]
    return times


def is_paced(arrivals: list[float], due: list[float]) -> bool:
    """Return whether no number arrived before it was due."""
    return all(arrival > time for arrival, time in zip(arrivals, due, strict=True))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "v\n1\n2.5\n-3e2\n"),
        ("a.CSV", "t,v,n\n0,1,a\n1,2.5,b\n2,-3e2,c"),
        ("semicolons.csv", "t;v\r\n0;1\r\n1;2.5\r\n2;-3e2\r\n"),
        ("quoted.csv", 'n,v\n"a, b",1\n"c\nd","2.5"\ne, -3e2 \n'),
        ("bom.csv", "\ufeffv,n\n1,2\n2.5,3\n-3e2,4\n"),
        ("tabs.csv", "n\tv\na\t1\nb\t2.5\nc\t-3e2\n"),
    ],
)
async def test_csv_files_are_read(new_file: NewFile, name: str, content: str | bytes) -> None:
    assert await replay(new_file(name, content)) == [1, 2.5, -300]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "type_name", ["DOUBLE", "FLOAT", "INTEGER", "HUGEINT", "DECIMAL(18, 3)", "VARCHAR"]
)
async def test_parquet_columns_of_numbers_are_read(tmp_path: Path, type_name: str) -> None:
    query = f"SELECT i::{type_name} AS v FROM range(3) t(i)"
    assert await replay(write_parquet(tmp_path / "a.parquet", query)) == [0, 1, 2]


@pytest.mark.anyio
async def test_doubles_are_exact(tmp_path: Path) -> None:
    query = "SELECT 0.1::DOUBLE + 0.2::DOUBLE AS v"
    assert await replay(write_parquet(tmp_path / "a.parquet", query)) == [0.1 + 0.2]


@pytest.mark.anyio
@pytest.mark.parametrize("column", ["a b", 'a"b', "'); DROP", "SELECT", "*", "größe", "v"])
async def test_column_can_have_any_name(tmp_path: Path, column: str) -> None:
    quoted = column.replace('"', '""')
    file = write_parquet(tmp_path / "a.parquet", f'SELECT 1 AS "{quoted}", 2 AS other')
    assert await replay(file, column=column) == [1]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["*.csv", "[ab].csv", "?.csv", "it's.csv", "x=1/v=2.csv", "~.csv"])
async def test_path_is_neither_a_pattern_nor_sql(new_file: NewFile, name: str) -> None:
    for other in ("a.csv", "b.csv", "x=1/c.csv"):
        new_file(other, "v\n1\n")
    assert await replay(new_file(name, "v\n7\n")) == [7]
    if "x=" in name:
        with pytest.raises(SourceError, match="`column` is not in the file"):
            await replay(new_file(name, "v\n7\n"), column="x")


@pytest.mark.anyio
async def test_rows_without_a_number_are_skipped_and_logged(new_file: NewFile) -> None:
    log = Log()
    file = new_file("a.csv", f"n,v\na,1\nb,\nc,{SECRET}\nd,NaN\ne,inf\nf,true\ng,1e999\nh,2\n")
    assert await replay(file, log) == [1, 2]
    assert log.lines == [f"Row {n} skipped: not a number." for n in (2, 3, 4, 5, 6, 7)]


@pytest.mark.anyio
async def test_rows_of_other_types_are_skipped(tmp_path: Path) -> None:
    for value in ("true", "now()", "[1]"):
        log = Log()
        file = write_parquet(tmp_path / "a.parquet", f"SELECT {value} AS v")
        assert await replay(file, log) == []
        assert log.lines == ["Row 1 skipped: not a number."]


@pytest.mark.anyio
async def test_malformed_lines_are_skipped_and_logged(new_file: NewFile) -> None:
    log = Log()
    file = new_file("a.csv", "n,v\na,1\nb\nc,2\nd,3,4\ne,6\n")
    assert await replay(file, log) == [1, 2, 6]
    assert log.lines == [f"Line {n} skipped: not well-formed." for n in (3, 5)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "", "`column` is not in the file"),
        ("a.parquet", "", "File is damaged or cannot be read"),
        ("a.csv", "v\n", "File has no rows"),
        ("a.csv", "n,w\n1,2\n", "`column` is not in the file"),
        ("a.csv", "V\n1\n", "`column` is not in the file"),
        ("a.csv", bytes(range(256)) * 100, "File is damaged or cannot be read"),
        ("a.csv", f"v,n\n1,{3_000_000 * 'x'}\n", "File is damaged or cannot be read"),
        ("a.parquet", f"v\n{SECRET}\n", "File is damaged or cannot be read"),
    ],
    ids=range(8),
)
async def test_file_that_cannot_be_read_is_an_error(
    new_file: NewFile, name: str, content: str | bytes, expected: str
) -> None:
    file = new_file(name, content)
    with pytest.raises(SourceError) as error:
        await replay(file)
    assert str(error.value) == expected


@pytest.mark.anyio
async def test_missing_file_and_columns_are_errors(new_file: NewFile, tmp_path: Path) -> None:
    file = new_file("a.csv", "v\n1\n")
    with pytest.raises(SourceError, match=r"^`time_column` is not in the file$"):
        await replay(file, time_column=SECRET)
    with pytest.raises(SourceError, match=r"^`column` is not in the file$"):
        await replay(file, column="filename")  # A virtual column of DuckDB.
    parameters = create_parameters(file)
    file.unlink()
    with pytest.raises(SourceError, match=r"^File not found$"):
        await anext(aiter(REPLAY.read(parameters, Log())))
    empty = write_parquet(tmp_path / "a.parquet", "SELECT 1 AS v LIMIT 0")
    with pytest.raises(SourceError, match=r"^File has no rows$"):
        await replay(empty)


@pytest.mark.anyio
async def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", "SELECT random() AS v FROM range(500000)")
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100_000] = bytes(100_000)
    file.write_bytes(content)
    with pytest.raises(SourceError, match=r"^File is damaged or cannot be read$"):
        await replay(file)
    file.write_bytes(content[:middle])
    with pytest.raises(SourceError, match=r"^File is damaged or cannot be read$"):
        await replay(file)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "times",
    [
        ("2026-11-29 10:00:00", "2026-11-29 10:00:20", "2026-11-29 10:01:00"),
        ("2026-11-29T10:00:00Z", "2026-11-29T12:00:20+02:00", "2026-11-29T10:01:00.000Z"),
        ("2026-11-29 10:00:00.000000001", "2026-11-29 10:00:20", "2026-11-29 10:01:00"),
        ("1795946400", "1795946420.0", "1.79594646e9"),
    ],
)
async def test_time_column_sets_the_pace(new_file: NewFile, times: tuple[str, ...]) -> None:
    file = new_file("a.csv", "v,t\n" + "".join(f"{n},{t}\n" for n, t in enumerate(times)))
    assert is_paced(await arrival_times(file, time_column="t", speed=200), [0, 0.1, 0.3])


@pytest.mark.anyio
@pytest.mark.parametrize(
    "value",
    [
        "TIMESTAMP '2026-1-1' + to_days(i::INTEGER)",
        "TIMESTAMPTZ '2026-1-1' + to_days(i::INTEGER)",
        "(TIMESTAMP '2026-1-1' + to_days(i::INTEGER))::TIMESTAMP_NS",
        "DATE '2026-1-1' + i::INTEGER",
        "86400 * i",
        "86400.0::DOUBLE * i",
    ],
)
async def test_times_of_parquet_files_set_the_pace(tmp_path: Path, value: str) -> None:
    file = write_parquet(tmp_path / "a.parquet", f"SELECT i AS v, {value} AS t FROM range(3) r(i)")
    assert is_paced(await arrival_times(file, time_column="t", speed=864_000), [0, 0.1, 0.2])


@pytest.mark.anyio
async def test_decreasing_and_unknown_times_do_not_wait(new_file: NewFile) -> None:
    times = [500, 400, "", "unknown", 400, -9e9, "inf", -9e9]
    file = new_file("a.csv", "v,t\n" + "".join(f"1,{time}\n" for time in times))
    assert len(await arrival_times(file, time_column="t", speed=0.001)) == len(times)


@pytest.mark.anyio
async def test_rows_without_a_number_keep_the_pace(new_file: NewFile) -> None:
    file = new_file("a.csv", "v,t\n1,0\n,20\n,40\n2,60\n")
    assert is_paced(await arrival_times(file, time_column="t", speed=200), [0, 0.3])


@pytest.mark.anyio
async def test_without_times_speed_is_rows_per_second(new_file: NewFile) -> None:
    file = new_file("a.csv", "v\n1\n2\n3\n")
    assert is_paced(await arrival_times(file, speed=10), [0, 0.1, 0.2])


@pytest.mark.anyio
async def test_first_row_is_read_immediately(new_file: NewFile) -> None:
    parameters = create_parameters(new_file("a.csv", "v,t\n7,0\n8,1e18\n"), speed=1e-9)
    for time_column in (None, "t"):
        paced = parameters.model_copy(update={"time_column": time_column})
        async with asyncio.timeout(5), aclosing(REPLAY.read(paced, Log())) as numbers:  # type: ignore[type-var]
            assert await anext(numbers) == [7]


@pytest.mark.anyio
async def test_rows_after_a_pause_keep_their_intervals(new_file: NewFile) -> None:
    file = new_file("a.csv", "v\n" + "1\n" * 100)
    clock = asyncio.get_running_loop().time
    async with aclosing(REPLAY.read(create_parameters(file, speed=20), Log())) as numbers:  # type: ignore[type-var]
        await anext(numbers)
        await asyncio.sleep(2)
        resumed, count = clock(), 0
        while count < 40:  # The 20 of the last second are due at once.
            array = await anext(numbers)
            assert isinstance(array, np.ndarray)
            count += len(array)
    assert clock() - resumed > 0.5


@asynccontextmanager
async def declare(file: Path, lines: str) -> AsyncIterator[BatchService]:
    """Open a service with a declared source ``old``."""
    config = file.parent / "solo.toml"
    config.write_text(f'[sources.old]\nkind = "replay"\npath = "{file.name}"\n{lines}\n')
    kinds = create_sources(Settings.model_construct(config=config))
    async with open_service(MemoryStorage(), utc_now, False, FAST_RETRY, **kinds) as service:
        yield service


@pytest.mark.anyio
async def test_batch_finishes_with_times_of_the_replay(new_file: NewFile) -> None:
    file = new_file("a.csv", "v,t\n1,2001-01-01\n2,2001-01-02\n")
    start = utc_now()
    async with declare(file, 'column = "v"\ntime_column = "t"\nspeed = 1000000') as service:
        batch = await service.start("a", "old")
        assert batch.run.restart is RestartPolicy.NEVER
        await wait_until(lambda: not service.running())
        assert service.batch("a").status is BatchStatus.FINISHED
        points = await service.points("a", 0, 10)
    assert [point.key for point in points] == [1, 2]
    assert start <= points[0].ts <= points[1].ts <= utc_now()


@pytest.mark.anyio
async def test_failure_shows_no_parameters(
    new_file: NewFile, caplog: pytest.LogCaptureFixture
) -> None:
    async with declare(new_file(f"{SECRET}.parquet", "x"), f'column = "{SECRET}"') as service:
        await service.start("a", "old")
        await wait_until(lambda: not service.running())
        assert service.batch("a").run.reason == "File is damaged or cannot be read"
        assert SECRET not in repr([service.batch("a"), await service.log("a")])
    assert "File is damaged" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.anyio
async def test_removed_file_is_read_to_its_end(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", "SELECT 1 AS v FROM range(300000)")
    count = 0
    async for array in REPLAY.read(create_parameters(file), Log()):
        assert isinstance(array, np.ndarray)
        count += len(array)
        file.unlink(missing_ok=True)
    assert count == 300_000


@pytest.mark.anyio
async def test_cancellation_interrupts_a_query(
    new_file: NewFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This query takes hours, like one on a file system that does not respond.
    monkeypatch.setattr(
        "solo_app.sources.replay._table",
        lambda _: "(SELECT sum(sin(i)) AS v FROM range(1_000_000_000_000) t(i) WHERE ? != '')",
    )
    numbers = REPLAY.read(create_parameters(new_file("a.csv", "v\n")), Log())
    task = asyncio.ensure_future(anext(numbers))
    await asyncio.sleep(0.2)
    assert not task.done()
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (f'path = "{SECRET}.csv"\ncolumn = "v"', "path: File or folder not found."),
        ('path = "solo.toml"\ncolumn = "v"', "path: Must end with .csv or .parquet."),
        ('path = "a.csv"', "column: Field required."),
        ('path = "a.csv"\ncolumn = ""', "column: String should have at least 1 character."),
        ('path = "a.csv"\ncolumn = 5', "column: Input should be a valid string."),
        ('path = "a.csv"\ncolumn = "v"\ntime_column = 5', "time_column: Input should be a valid"),
        ('path = "a.csv"\ncolumn = "v"\nspeed = -1', "speed: Input should be greater than"),
        ('path = "a.csv"\ncolumn = "v"\nspeed = inf', "speed: Input should be"),
        (f'path = "a.csv"\ncolumn = "v"\nspeed = "{SECRET}"', "speed: Input should be"),
    ],
)
def test_invalid_parameters_are_refused_at_startup(
    new_file: NewFile, tmp_path: Path, lines: str, expected: str
) -> None:
    new_file("a.csv", "v\n1\n")
    config = tmp_path / "solo.toml"
    config.write_text(f'[sources.old]\nkind = "replay"\n{lines}\n')
    with pytest.raises(SettingsError) as error:
        create_sources(Settings.model_construct(config=config))
    assert str(error.value).startswith(f"{config}: [sources.old] {expected}")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("content", "lines", "expected"),
    [
        ("v\n1\n", f'column = "{SECRET}"', "`column` is not in the file"),
        ("v\n1\n", f'column = "v"\ntime_column = "{SECRET}"', "`time_column` is not in the file"),
        ("", 'column = "v"', "`column` is not in the file"),
        (bytes(range(256)) * 100, 'column = "v"', "File is damaged or cannot be read"),
    ],
    ids=range(4),
)
def test_startup_check_reads_the_columns_of_the_file(
    new_file: NewFile, tmp_path: Path, content: str | bytes, lines: str, expected: str
) -> None:
    new_file("a.csv", content)
    config = tmp_path / "solo.toml"
    config.write_text(f'[sources.old]\nkind = "replay"\npath = "a.csv"\n{lines}\n')
    with pytest.raises(SettingsError) as error:
        create_sources(Settings.model_construct(config=config), is_startup_check=True)
    assert str(error.value) == f"{config}: [sources.old] path: {expected}."
    new_file("a.csv", f"v,{SECRET}\n1,2\n")
    assert "old" in create_sources(Settings.model_construct(config=config), is_startup_check=True)
