"""The arithmetic of the benchmarks: medians, spreads, ratios, targets."""

from __future__ import annotations

import pytest

from bench.figures import Figure, Target, at_least, times_the_template, told, under
from bench.samples import percentile


def test_a_figure_is_the_median_of_its_rounds_with_their_spread() -> None:
    figure = Figure("wait", "ms", [5.0, 1.0, 9.0, 2.0])
    assert figure.median == 3.5
    assert figure.spread == (1.0, 9.0)


@pytest.mark.parametrize(
    ("figure", "ratio"),
    [
        (Figure("rate", "rows/s", [100, 300, 200], better="more", template=[2, 1, 4]), 100),
        (Figure("wait", "ms", [2, 4, 3], better="less", template=[30, 90, 60]), 20),
        (Figure("wait", "ms", [60], better="less", template=[3]), 0.05),
        (Figure("wait", "ms", [2]), None),
        (Figure("wait", "ms", [0], template=[1]), None),
    ],
)
def test_the_ratio_says_how_many_times_better(figure: Figure, ratio: float | None) -> None:
    assert figure.ratio == ratio


@pytest.mark.parametrize(
    ("targets", "reached"),
    [
        ((), None),
        ((under(10.1),), True),
        ((under(10),), False),
        ((at_least(10),), True),
        ((at_least(10.1),), False),
        ((times_the_template(3),), True),
        ((times_the_template(3.1),), False),
        ((under(11), times_the_template(3.1)), False),
    ],
)
def test_a_figure_is_reached_when_all_its_targets_are(
    targets: tuple[Target, ...], reached: bool | None
) -> None:
    assert Figure("wait", "ms", [9, 10, 90], targets=targets, template=[30]).reached is reached


def test_what_the_template_lacks_is_no_times_better() -> None:
    assert Figure("wait", "ms", [1], targets=(times_the_template(50),)).reached is False


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9_876_543.2, "9 876 543"),
        (2_000_000, "2 000 000"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.01234, "0.0123"),
        (0, "0"),
    ],
)
def test_numbers_are_told_with_the_digits_that_matter(value: float, text: str) -> None:
    assert told(value) == text


def test_a_percentile_is_what_so_many_percent_do_not_exceed() -> None:
    values = [float(value) for value in range(101)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 100)] == [0, 50, 99, 100]
