"""Which minute of the rows is asked for."""

from __future__ import annotations

from datetime import datetime

import pytest

pytest.importorskip("psutil", reason="the benchmarks need requirements-dev.txt")

from bench.rows import asked_at


@pytest.mark.parametrize(
    ("end", "asked"),
    [
        ("2026-11-24T12:34", "2026-11-24T12:34:01"),
        ("2026-11-24T00:03", "2026-11-24T00:00:01"),
        ("2026-11-24T00:00", "2026-11-24T00:00:01"),
        ("2026-11-24T00:30", "2026-11-24T00:30:01"),
    ],
)
def test_it_lies_in_the_day_of_most_rows(end: str, asked: str) -> None:
    assert asked_at(datetime.fromisoformat(end)) == datetime.fromisoformat(asked)
