"""A fake clock, a source that follows it, and a store in memory."""

from __future__ import annotations

import pytest

from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock("2012-11-11 10:10:00")


@pytest.fixture
def script(clock: FakeClock) -> ScriptedSource:
    return ScriptedSource(clock)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()
