"""Number format: SQL and Python produce the same text for any number."""

from __future__ import annotations

import duckdb
import pytest

from solo_app.batches.models import format_number
from solo_app.storage.duckdb.export import NUMBER

pytest.importorskip("hypothesis", reason="property tests need requirements-dev.txt")
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

whole = st.integers(-(2**60), 2**60).map(float)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), whole)


@settings(max_examples=200, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=200))
def test_sql_formats_numbers_as_python_does(keys: list[float]) -> None:
    columns = {"key": np.array(keys)}  # noqa: F841 (DuckDB resolves table names to local variables)
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {NUMBER} FROM columns").fetchall()
    assert [text for (text,) in rows] == list(map(format_number, keys))
