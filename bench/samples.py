"""What many single measurements come to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that ``percent`` of the values do not exceed; linear between two of them."""
    return float(np.percentile(np.asarray(values), percent))
