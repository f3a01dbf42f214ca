"""A pytest plugin that runs the tests in parallel if pytest-xdist is installed.

``addopts`` cannot contain its options, because pytest rejects them if it is not installed. See
"Dynamically adding command line options" in the documentation of pytest.
"""

from __future__ import annotations

import pytest

WORKERS = 3
"""One more than the cores of a small machine, because tests with a browser often wait."""


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    if early_config.pluginmanager.hasplugin("xdist"):
        args[:] = ["-n", "auto", "--dist", "loadgroup", *args]


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """Set the number for ``-n auto``, which is 0 with ``--pdb``."""
    return WORKERS
