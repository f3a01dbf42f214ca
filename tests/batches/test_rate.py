"""The rate of a run and its history."""

from __future__ import annotations

from solo_app.batches.rate import RateMeter


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
