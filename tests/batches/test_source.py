"""Validation of what sources yield."""

from __future__ import annotations

import numpy as np
import pytest

from solo_app.batches.errors import BadNumberError
from solo_app.batches.source import to_array, to_finite_doubles


@pytest.mark.parametrize("number", [4, 4.0, np.int32(4), np.float32(4)])
def test_number_becomes_an_array(number: object) -> None:
    assert to_array(number).tolist() == [4.0]


@pytest.mark.parametrize("numbers", [[1, 2], [], [0.5]])
def test_array_is_not_copied(numbers: list[float]) -> None:
    array = np.array(numbers)
    assert to_array(array) is array


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        True,
        10**400,
        [1.0],
        np.array([[1.0]]),
        np.array(["text"]),
        np.ma.masked_invalid([1.0, np.nan]),
    ],
)
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(BadNumberError, match="not a finite number"):
        to_array(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    with pytest.raises(BadNumberError, match=f"returned {number}, "):
        to_finite_doubles(np.array([1.0, number]))


def test_finite_numbers_are_copied_as_doubles() -> None:
    numbers = np.array([1, 2], np.int8)
    doubles = to_finite_doubles(numbers)
    numbers[0] = 9
    assert doubles.dtype == np.float64
    assert doubles.tolist() == [1.0, 2.0]
