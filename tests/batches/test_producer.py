"""The rate and the latest points of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches.models import Block, Point, to_microseconds
from solo_app.batches.rate import RateMeter
from solo_app.batches.recent import RECENT_POINTS, RecentPoints
from solo_app.batches.source import Numbers
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio

NOW = datetime(2012, 11, 11, 10, 10)


def block(first_seq: int, count: int) -> Block:
    ts = np.full(count, to_microseconds(NOW))
    return Block(1, first_seq, ts, np.arange(first_seq, first_seq + count, dtype=float))


def points(*seqs: int) -> list[Point]:
    return [Point(seq, NOW, float(seq)) for seq in seqs]


def test_rate_is_the_mean_of_the_last_whole_seconds() -> None:
    now = 100.0
    meter = RateMeter(lambda: now)
    for step in range(40):
        now = 100 + step * 0.25
        meter.add(1)
    assert meter.per_second == 4
    now = 130
    assert meter.per_second == 0


def test_history_has_the_points_of_each_whole_second() -> None:
    now = 100.5
    meter = RateMeter(lambda: now, history_seconds=4)
    for second, count in ((100.5, 1), (101.0, 2), (101.9, 3), (103.1, 4), (104.0, 5)):
        now = second
        meter.add(count)
    assert meter.history == [1, 5, 0, 4]
    now = 106.9
    assert meter.history == [0, 4, 5, 0]


@pytest.mark.parametrize("lengths", [[1], [1] * 60, [7] * 20, [5_000], [30, 5_000, 3]])
def test_latest_points_of_the_run_are_in_memory(lengths: list[int]) -> None:
    recent, last_seq = RecentPoints(), 0
    for length in lengths:
        recent.add(block(last_seq + 1, length))
        last_seq += length
    assert recent.recent() == points(*range(max(1, last_seq - RECENT_POINTS + 1), last_seq + 1))


def test_points_of_earlier_runs_precede_those_of_the_run() -> None:
    recent = RecentPoints()
    earlier = points(*range(3, 20), *range(40, 63))  # Some points are missing.
    recent.add_earlier_points(earlier)
    assert recent.recent() == earlier
    assert recent.latest is None
    recent.add(block(63, 1))
    recent.add(block(64, 2))
    assert recent.recent() == [*earlier[3:], *points(63, 64, 65)]
    recent.add(block(66, 100))
    assert recent.recent() == points(*range(126, 166))


def test_earlier_points_do_not_change_what_streams_read() -> None:
    recent = RecentPoints()
    recent.add(block(63, 2))
    recent.add_earlier_points(points(60, 62))
    assert recent.since(62) == points(63, 64)
    assert recent.since(63) == points(64)
    assert recent.since(61) is None


async def test_exception_of_a_source_is_logged_with_its_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing() -> AsyncIterator[Numbers]:
        yield 1.0
        raise LookupError("no sensor")

    async with open_service(tmp_path / "solo.duckdb", failing=failing) as service:
        await service.start("b", "failing")
        await wait_until(lambda: not service.running())
    record = next(r for r in caplog.records if r.getMessage() == 'Batch "b" failed')
    assert record.exc_info
    assert isinstance(record.exc_info[1], LookupError)
