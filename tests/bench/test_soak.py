"""The table of a soak."""

from __future__ import annotations

import pytest

pytest.importorskip("wsproto", reason="the benchmarks need requirements-dev.txt")

from bench.soak import Sample, create_table

MIB = 2**20


def test_table_compares_the_halves_of_the_run() -> None:
    samples = [
        Sample(at=0, row_count=10, cpu_seconds=0, memory=MIB, files=MIB),
        Sample(at=10, row_count=MIB, cpu_seconds=2, memory=2 * MIB, files=2 * MIB),
        Sample(at=20, row_count=2 * MIB, cpu_seconds=3, memory=900 * MIB, files=MIB),
        Sample(at=30, row_count=4 * MIB, cpu_seconds=5, memory=900 * MIB, files=4 * MIB),
    ]
    first, second = str(create_table(samples)).splitlines()[-2:]
    assert first == "| first half | 104,857 | 20 | 2 | 2 | 2 |"
    assert second == (
        "| second half | 157,286 (104,858 to 209,715), target ≥ 99,000 | 15 (10 to 20)"
        " | 900, **missed** target < 774 | 2.5 (1 to 4) | 0.75 (0.5 to 1) |"
    )
