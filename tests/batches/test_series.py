"""The chart of the last minute: exact extremes, order of time, breaks between runs."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest

from solo_app.batches.models import BUCKET_US, Block
from solo_app.batches.series import Series, split_into_buckets
from tests.batches.charts import create_block, extremes, extremes_of_points, line, us


def create_series(blocks: Iterable[Block], run_number: int = 1) -> Series:
    series = Series(run_number)
    for block in blocks:
        series.add(block)
    return series


def random_blocks(count: int, length: int, interval: int) -> list[Block]:
    """Return points in blocks of equal length. ``interval`` is in microseconds."""
    keys = np.random.default_rng(1).integers(0, 1_000, count).astype(float)
    ts = us(0) + np.arange(count) * interval
    ends = range(length, count + length, length)
    return [Block(1, e - length + 1, ts[e - length : e], keys[e - length : e]) for e in ends]


@pytest.mark.parametrize("length", [1, 7, 400, 6_000])
def test_every_bucket_has_its_extremes(length: int) -> None:
    blocks = random_blocks(6_000, length, interval=9_000)
    points = [pair for b in blocks for pair in zip(b.ts.tolist(), b.key.tolist(), strict=True)]
    series = create_series(blocks)
    assert extremes(series.chart(us(54))) == extremes_of_points(points)
    assert series.count(us(54)) == 6_000


@pytest.mark.parametrize(("first", "second"), [(5.0, 5.0), (5.0, 4.0), (4.0, 5.0)])
def test_both_points_of_a_bucket_are_in_the_chart(first: float, second: float) -> None:
    in_one_block = [create_block(1, (0, first), (0.01, second))]
    in_two_blocks = [create_block(1, (0, first)), create_block(2, (0.01, second))]
    for blocks in (in_one_block, in_two_blocks):
        assert line(create_series(blocks).chart(us(1))) == [(0, first), (0.01, second)]


def test_all_points_of_a_slow_source_are_in_the_chart() -> None:
    jitter = random.Random(1)
    points = [(i / 4 + jitter.randrange(10) / 1e3, float(i % 7)) for i in range(400)]
    series = Series(1)
    for i, point in enumerate(points, 1):
        series.add(create_block(i, point))
        in_minute = [p for p in points[:i] if us(p[0]) > us(point[0] - 60)]
        before = points[: i - len(in_minute)][-1:]
        assert line(series.chart(us(point[0]))) == before + in_minute
        assert series.count(us(point[0])) == len(in_minute)


def test_fast_source_has_two_vertices_per_bucket() -> None:
    series = create_series(random_blocks(200_000, 1_000, interval=600))  # Two minutes.
    chart = series.chart(us(120))
    assert 480 <= len(chart.offsets) <= 483
    assert chart.offsets == sorted(chart.offsets)
    assert abs(series.count(us(120)) - 100_000) <= BUCKET_US // 600 + 1
    assert len(series.chart(us(60)).offsets) <= 6  # Earlier buckets are evicted.


def test_chart_begins_with_the_last_point_before_the_minute() -> None:
    blocks = [create_block(1, (0, 1)), create_block(2, (1, 2)), create_block(3, (900, 3))]
    series = create_series(blocks)
    assert line(series.chart(us(901))) == [(1, 2), (900, 3)]
    assert series.count(us(901)) == 1
    assert line(series.chart(us(960))) == [(900, 3)]
    assert series.count(us(960)) == 0


def test_points_of_another_run_follow_a_break() -> None:
    series = create_series([create_block(3, (2.01, 3), (2.02, 4))], run_number=2)
    series.add_buckets(split_into_buckets(create_block(1, (1, 1), (2, 2)), run_number=1))
    assert line(series.chart(us(3))) == [(1, 1), (2, 2), (2.01, None), (2.01, 3), (2.02, 4)]
    assert series.count(us(3)) == 4
    assert line(series.chart(us(62))) == [(2, 2), (2.01, None), (2.01, 3), (2.02, 4)]
    assert series.count(us(62)) == 2


def test_points_are_in_order_of_time_after_a_clock_change() -> None:
    series = create_series([create_block(1, (10, 1), (11, 2)), create_block(3, (9, 3), (10.01, 4))])
    assert line(series.chart(us(11))) == [(9, 3), (10, 1), (10.01, 4), (11, 2)]
    assert line(series.chart(us(10.1))) == [(9, 3), (10, 1), (10.01, 4)]
    assert series.count(us(10.1)) == 3


def test_no_point_is_lost_when_the_clock_alternates() -> None:
    series = create_series([create_block(1, (10, 1), (9, 2), (10.01, 3), (9.01, 4))])
    assert line(series.chart(us(11))) == [(9, 2), (9.01, 4), (10, 1), (10.01, 3)]


@pytest.mark.parametrize("jump", [-3_600, 3_600])
def test_points_before_a_jump_of_the_clock_are_dropped(jump: float) -> None:
    blocks = [create_block(1, (0, 1)), create_block(2, (1, 2)), create_block(3, (jump, 3))]
    series = create_series(blocks)
    assert line(series.chart(us(jump + 1))) == ([(1, 2), (jump, 3)] if jump > 0 else [(jump, 3)])
    series.add(create_block(4, (jump + 3_610, 4)))
    assert line(series.chart(us(jump + 3_610))) == [(jump, 3), (jump + 3_610, 4)]
