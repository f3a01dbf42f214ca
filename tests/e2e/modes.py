"""In which modes a test runs: in production, and in both where the two could differ.

What differs is who serves the pages (Vite, or the server itself, on one address with the API or
on another), how addresses are routed, and how often React mounts what it shows.
"""

from __future__ import annotations

import pytest

in_both_modes = pytest.mark.parametrize(
    "mode", ["prod", pytest.param("dev", marks=pytest.mark.dev)]
)
