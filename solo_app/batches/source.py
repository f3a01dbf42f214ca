"""The source protocol: what a source implements, and validation of what it yields.

A source is a callable that returns an async iterator. Each item is a number, or a one-dimensional
array of numbers of any length, including 0. The numbers of an array have the same time, except that
a long array is appended to the buffer in parts, each with its own time. A source must not change an
array until the next item is requested. A run is ``finished`` when its source ends, and ``failed``
when it raises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.errors import BadNumberError

Numbers = float | NDArray[np.float64]
Source = Callable[[], AsyncIterator[Numbers]]

DEFAULT_SOURCE = "random"


def to_array(numbers: object) -> NDArray[Any]:
    """Return an item of a source as an array. Arrays are not copied.

    Raises BadNumberError for anything but numbers: text, None, booleans, integers beyond the range
    of a double, and arrays with several dimensions or masked elements.
    """
    if isinstance(numbers, np.ndarray):
        if numbers.ndim != 1 or numbers.dtype.kind not in "iuf" or np.ma.isMaskedArray(numbers):
            raise BadNumberError(numbers)
        return numbers
    if isinstance(numbers, int | float | np.integer | np.floating) and not isinstance(
        numbers, bool
    ):
        try:
            return np.array([float(numbers)])
        except OverflowError:
            raise BadNumberError(numbers) from None
    raise BadNumberError(numbers)


def to_finite_doubles(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return a copy as doubles. Raises BadNumberError for NaN and infinities."""
    array = numbers.astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        raise BadNumberError(float(array[~finite][0]))
    return array
