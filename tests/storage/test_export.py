"""Downloads: each selected point once and in order, in every format, without leftover files."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.models import FileFormat, Point, Selection, format_number
from solo_app.storage.duckdb.export import SLICE_POINTS
from solo_app.storage.duckdb.store import DuckDBStore
from tests.storage.stores import START, create_block, open_store, read_content

pytestmark = pytest.mark.anyio

NUMBERS = [
    (0.0, "0"),
    (-0.0, "0"),
    (57.0, "57"),
    (-2.5, "-2.5"),
    (0.1 + 0.2, "0.30000000000000004"),
    (1e-7, "1e-07"),
    (5e-324, "5e-324"),
    (12345678.000000001, "12345678.000000002"),
    (999_999_999_999_999.0, "999999999999999"),
    (-999_999_999_999_999.0, "-999999999999999"),
    (1e15, "1000000000000000.0"),
    (2.0**53, "9007199254740992.0"),
    (1e16, "1e+16"),
    (-1e16, "-1e+16"),
    (1e22, "1e+22"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
]
KEYS = [number for number, _ in NUMBERS]

MANY = 25_000
assert MANY > 2 * SLICE_POINTS


def parse(file_format: FileFormat, content: bytes, folder: Path) -> list[Point]:
    """Parse a file without the code under test."""
    if file_format is FileFormat.PARQUET:
        return parse_parquet(content, folder / "points.parquet")
    if file_format is FileFormat.CSV:
        lines = csv.DictReader(io.StringIO(content.decode()))
        assert lines.fieldnames == ["seq", "ts", "key"]
        rows = [(int(line["seq"]), line["ts"], float(line["key"])) for line in lines]
    else:
        rows = [(row["seq"], row["ts"], row["data"]["key"]) for row in json.loads(content)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", ts) for _, ts, _ in rows)
    return [Point(seq, datetime.fromisoformat(ts[:-1]), key) for seq, ts, key in rows]


def parse_parquet(content: bytes, file: Path) -> list[Point]:
    file.write_bytes(content)
    points = duckdb.from_parquet(str(file))
    assert points.columns == ["seq", "ts", "key"]
    assert list(map(str, points.types)) == ["BIGINT", "TIMESTAMP WITH TIME ZONE", "DOUBLE"]
    rows = points.project("seq, ts AT TIME ZONE 'UTC', key").fetchall()
    return [Point(*row) for row in rows]


@pytest.mark.parametrize("file_format", FileFormat)
async def test_file_contains_the_stored_points(
    store: DuckDBStore, tmp_path: Path, file_format: FileFormat
) -> None:
    await store.write([create_block(1, KEYS)], {})
    content = await read_content(await store.download(file_format, Selection(1, len(KEYS))))
    points = parse(file_format, content, tmp_path)
    assert points == await store.points(1, 0, 100)
    assert [point.key for point in points] == KEYS


UNITS = ["°C", "%", "m/s", 'a,"b"', "'", "\\", "{}", "$unit", "=1+1"]


@pytest.mark.parametrize("unit", UNITS)
async def test_each_point_includes_the_unit(store: DuckDBStore, tmp_path: Path, unit: str) -> None:
    await store.write([create_block(1, [1, 2.5])], {})

    async def content(file_format: FileFormat) -> bytes:
        return await read_content(await store.download(file_format, Selection(1, 2), unit))

    csv_lines = csv.DictReader(io.StringIO((await content(FileFormat.CSV)).decode()))
    assert csv_lines.fieldnames == ["seq", "ts", "key", "unit"]
    assert [(line["key"], line["unit"]) for line in csv_lines] == [("1", unit), ("2.5", unit)]
    objects = json.loads(await content(FileFormat.JSON))
    assert [point["data"] for point in objects] == [
        {"key": 1, "unit": unit},
        {"key": 2.5, "unit": unit},
    ]
    (tmp_path / "points.parquet").write_bytes(await content(FileFormat.PARQUET))
    points = duckdb.from_parquet(str(tmp_path / "points.parquet"))
    assert points.columns == ["seq", "ts", "key", "unit"]
    assert points.project("key, unit").fetchall() == [(1.0, unit), (2.5, unit)]


@pytest.mark.parametrize("file_format", FileFormat)
async def test_start_is_inclusive_and_end_is_exclusive(
    store: DuckDBStore, tmp_path: Path, file_format: FileFormat
) -> None:
    await store.write([create_block(1, [1, 2, 3, 4, 5])], {})

    async def seqs(start: datetime, end: datetime) -> list[int]:
        download = await store.download(file_format, Selection(1, 5, start, end))
        points = parse(file_format, await read_content(download), tmp_path)
        return [point.seq for point in points]

    second = timedelta(seconds=1)
    assert await seqs(START + second, datetime.max) == [2, 3, 4, 5]
    assert await seqs(datetime.min, START + 3 * second) == [1, 2, 3]
    assert await seqs(START + second, START + 3 * second) == [2, 3]
    assert await seqs(START + second * 1.000001, START + 2 * second) == []
    assert await seqs(START + timedelta(days=1), datetime.max) == []


@pytest.mark.parametrize("file_format", FileFormat)
async def test_many_points_are_complete_and_in_order(
    store: DuckDBStore, tmp_path: Path, file_format: FileFormat
) -> None:
    for first in range(1, MANY, 5_000):
        keys = np.arange(first, first + 5_000)
        # Another batch has points in the same row groups.
        blocks = [create_block(first, (sign * keys).tolist(), no) for no, sign in ((1, -1), (2, 1))]
        await store.write(blocks, {})
    download = await store.download(file_format, Selection(2, MANY))
    points = parse(file_format, await read_content(download), tmp_path)
    assert [point.seq for point in points] == list(range(1, MANY + 1))
    assert [point.key for point in points] == list(range(1, MANY + 1))


@pytest.mark.parametrize("file_format", FileFormat)
async def test_points_committed_during_a_download_are_not_included(
    store: DuckDBStore, tmp_path: Path, file_format: FileFormat
) -> None:
    await store.write([create_block(1, [0] * MANY)], {})
    download = await store.download(file_format, Selection(1, MANY))
    content, last_seq = b"", MANY
    async for chunk in download.chunks:
        content += chunk
        await store.write([create_block(last_seq + 1, [1])], {})
        last_seq += 1
    assert len(parse(file_format, content, tmp_path)) == MANY
    assert download.size in (None, len(content))


@pytest.mark.parametrize(("number", "text"), NUMBERS)
def test_whole_numbers_below_1e15_have_no_fraction(number: float, text: str) -> None:
    assert format_number(number) == text


async def test_csv_and_json_have_the_same_number_format(store: DuckDBStore) -> None:
    await store.write([create_block(1, KEYS)], {})
    texts = [text for _, text in NUMBERS]
    file = (await read_content(await store.download(FileFormat.CSV, Selection(1, 99)))).decode()
    assert [line.rpartition(",")[2] for line in file.splitlines()[1:]] == texts
    file = (await read_content(await store.download(FileFormat.JSON, Selection(1, 99)))).decode()
    points = json.loads(file, parse_float=str, parse_int=str)
    assert [point["data"]["key"] for point in points] == texts


async def test_abandoned_download_leaves_no_file(store: DuckDBStore, database: Path) -> None:
    await store.write([create_block(1, KEYS)], {})
    before = set(database.parent.iterdir())
    download = await store.download(FileFormat.PARQUET, Selection(1, 99))
    assert set(database.parent.iterdir()) == before  # Not even during the download.
    assert (await anext(download.chunks)).startswith(b"PAR1")
    del download
    assert set(database.parent.iterdir()) == before


async def test_files_of_a_killed_process_are_removed(database: Path) -> None:
    leftover = database.parent / ".solo.duckdb.download-x7"
    other = database.parent / ".other.download-x7"
    for folder in (leftover, other):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"PAR1")
    async with open_store(database):
        assert not leftover.exists()
        assert other.exists()


async def test_error_while_writing_the_file_is_reported(tmp_path: Path) -> None:
    # The name of the database is valid, but the name of the temporary file is too long.
    async with open_store(tmp_path / ("x" * 245)) as store:
        with pytest.raises(StoreUnavailableError, match="The file cannot be written"):
            await store.download(FileFormat.PARQUET, Selection(1, 1))


async def test_shutdown_aborts_a_download(store: DuckDBStore) -> None:
    await store.write([create_block(1, KEYS)], {})
    download = await store.download(FileFormat.CSV, Selection(1, len(KEYS)))
    assert await anext(download.chunks) == b"seq,ts,key\n"
    store.stop_exports()
    with pytest.raises(ServiceClosedError):
        await anext(download.chunks)
