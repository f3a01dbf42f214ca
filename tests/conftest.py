"""What every test may use, and the order of all."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, as the app does."""
    return "asyncio"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests come first; a browser that drives a page occupies the event loop."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)
