"""Numbers and times in downloads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches.models import Block, FileFormat, Selection, format_number
from solo_app.storage.duckdb.store import DuckDBStore

pytestmark = pytest.mark.anyio

NUMBERS = [
    (0.0, "0"),
    (-0.0, "0"),
    (57.0, "57"),
    (-2.5, "-2.5"),
    (0.1 + 0.2, "0.30000000000000004"),
    (1e-7, "1e-07"),
    (5e-324, "5e-324"),
    (999_999_999_999_999.0, "999999999999999"),
    (-999_999_999_999_999.0, "-999999999999999"),
    (1e15, "1000000000000000.0"),
    (2.0**53, "9007199254740992.0"),
    (1e16, "1e+16"),
    (-1e16, "-1e+16"),
    (1e22, "1e+22"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
]


@pytest.mark.parametrize(("number", "text"), NUMBERS)
def test_whole_numbers_below_1e15_have_no_fraction(number: float, text: str) -> None:
    assert format_number(number) == text


async def test_csv_and_json_format_numbers_alike(tmp_path: Path) -> None:
    keys = np.array([number for number, _ in NUMBERS])
    store = DuckDBStore(tmp_path / "solo.duckdb")
    await store.open()
    await store.write([Block(1, 1, np.arange(len(keys)), keys)], {})
    texts = {}
    for file_format in (FileFormat.CSV, FileFormat.JSON):
        download = await store.download(file_format, Selection(1, len(keys)))
        texts[file_format] = b"".join([piece async for piece in download.chunks]).decode()
    await store.close()
    rows = texts[FileFormat.CSV].splitlines()[1:]
    assert [row.rpartition(",")[2] for row in rows] == list(map(format_number, keys.tolist()))
    points = json.loads(texts[FileFormat.JSON], parse_float=str, parse_int=str)
    assert [p["data"]["key"] for p in points] == list(map(format_number, keys.tolist()))
