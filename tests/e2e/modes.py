"""Runs a test in production and in development.

The modes differ in the server of the pages (Vite in development), the port of the API, the routing
of URLs, and how often React mounts components. Other tests run in production only.
"""

from __future__ import annotations

import pytest

in_both_modes = pytest.mark.parametrize(
    "mode", ["prod", pytest.param("dev", marks=pytest.mark.dev)]
)
