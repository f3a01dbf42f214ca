"""What every test may use, the order of all, and on how many processes they run."""

from __future__ import annotations

import pytest

WORKERS = 2
"""Processes that share the tests. More would disturb those that hold the app to its seconds."""


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, as the app does."""
    return "asyncio"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Share the tests out where pytest-xdist is installed and nobody said how (``-n 0``: don't)."""
    options = config.option
    is_worker = hasattr(config, "workerinput")
    if getattr(options, "numprocesses", 0) is None and not is_worker and not options.usepdb:
        options.numprocesses = WORKERS
        options.dist = "loadgroup"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests come first; a browser that drives a page occupies the event loop."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)
