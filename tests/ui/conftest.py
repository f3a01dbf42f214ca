"""Fixtures: new tabs for each test, on a service shared by the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from solo_app.batches.models import Clock, utc_now
from solo_app.batches.service import BatchService
from solo_app.sources.random import random_kind
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, Source, open_service, stop_all
from tests.ui.tabs import Tabs, tabs_on


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    """The sources of a module in addition to ``random``."""
    return {}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return utc_now


@pytest.fixture(scope="module")
async def service(sources: dict[str, Source], clock: Clock) -> AsyncIterator[BatchService]:
    """The service of a module. Each test uses its own ids, such as ``batch_id``.

    ``random`` yields a number every 4 ms. DuckDB would need half of the CPU time of these tests.
    """
    all_sources = {"random": random_kind(0.004), **sources}
    async with open_service(MemoryStorage(), clock, False, FAST_RETRY, **all_sources) as opened:
        yield opened


@pytest.fixture
async def tabs(service: BatchService) -> AsyncIterator[Tabs]:
    """New tabs, with no batch running."""
    async with tabs_on(service) as opened:
        yield opened
    await stop_all(service)
