"""One app for all tests of the command line. Each test uses its own batches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from solo_app.batches.models import utc_now
from solo_app.batches.source import Numbers
from solo_app.sources.http import HTTP
from tests.cli.command import App, running_app
from tests.helpers.history import write_long_history
from tests.helpers.service import counting, silent, stop_all

OLD_BATCHES = [f"old-{number}" for number in range(101)]
"""Stopped batches: more than on a page of the API."""


async def failing() -> AsyncIterator[Numbers]:
    raise OSError("\x1b[31m10 €\n")
    yield


@pytest.fixture(scope="package")
async def shared_app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    database = tmp_path_factory.mktemp("cli") / "solo.duckdb"
    write_long_history(database, OLD_BATCHES, 1, timedelta(seconds=1), utc_now())
    few = counting(5)
    async with running_app(database, http=HTTP, silent=silent, few=few, failing=failing) as app:
        yield app


@pytest.fixture
async def app(shared_app: App) -> AsyncIterator[App]:
    """The app. Its batches are stopped after the test."""
    yield shared_app
    await stop_all(shared_app[0])
