"""SQL and Python format any number alike."""

from __future__ import annotations

import duckdb
import pytest

from solo_app.batches.models import format_number
from solo_app.storage.duckdb.export import NUMBER

pytest.importorskip("hypothesis", reason="property tests need requirements-dev.txt")
from hypothesis import given, settings
from hypothesis import strategies as st

whole = st.integers(-(2**60), 2**60).map(float)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), whole)
connection = duckdb.connect()


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=50))
def test_sql_formats_numbers_as_python_does(keys: list[float]) -> None:
    query = f"SELECT {NUMBER} FROM (SELECT unnest($keys::DOUBLE[]) AS key)"
    rows = connection.execute(query, {"keys": keys}).fetchall()
    assert [text for (text,) in rows] == [format_number(key) for key in keys]
