"""What producers draw from.

A source is an async generator of numbers. It may hand over one number at a time or a
one-dimensional array of them, as long as it likes; an empty one is no point. The numbers of an
array count as produced in one moment, those of a long one 16 384 at a time, as they are taken.
Until it is asked for more, a source leaves the array as it is.
A source that ends makes its run ``finished``; one that raises makes it ``failed``.
"""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.errors import BadNumberError

Numbers = float | NDArray[np.float64]
Source = Callable[[], AsyncIterator[Numbers]]

DEFAULT_SOURCE = "random"
LOWEST, HIGHEST = 0, 100

_ARRAY_LENGTH = 16_384


def random(interval: float) -> Source:
    """Random whole numbers from 0 to 100, one every ``interval`` seconds.

    With an interval of 0 they come in arrays, as fast as they are taken.
    """
    return _flood if interval == 0 else lambda: _every(interval)


async def _every(interval: float) -> AsyncIterator[Numbers]:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        yield float(_random.randint(LOWEST, HIGHEST))
        # Counting from when it was due, not from now, keeps the pace exact; a pause of the
        # whole process is not made up for by a burst.
        due = max(due + interval, loop.time())
        await asyncio.sleep(due - loop.time())


async def _flood() -> AsyncIterator[Numbers]:
    numbers = np.random.default_rng()
    while True:
        yield numbers.integers(LOWEST, HIGHEST, size=_ARRAY_LENGTH, endpoint=True).astype(
            np.float64
        )
        await asyncio.sleep(0)


def as_array(numbers: object) -> NDArray[Any]:
    """What a source gave, as an array; an array is not copied, however long.

    Raises BadNumberError for what cannot hold numbers: text, None, truth values, whole numbers
    beyond the range of a double, arrays of more than one dimension or with masked places.
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


def checked(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """A copy as finite doubles. Raises BadNumberError for NaN and infinities."""
    array = numbers.astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        raise BadNumberError(float(array[~finite][0]))
    return array
