"""Backoff for failing reads."""

from __future__ import annotations

import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.read_backoff import ReadBackoff

pytestmark = pytest.mark.anyio


class Database:
    """A database whose reads fail until ``repaired_at``."""

    def __init__(self, repaired_at: float) -> None:
        self.now = 0.0
        self.reads: list[float] = []
        self._repaired_at = repaired_at

    async def read(self) -> str:
        self.reads.append(self.now)
        if self.now < self._repaired_at:
            raise StoreUnavailableError("a file is missing")
        return "points"


async def test_interval_between_failing_reads_doubles_up_to_a_limit() -> None:
    database = Database(repaired_at=1_000)
    backoff = ReadBackoff(first=5, longest=60, now=lambda: database.now)
    for database.now in range(300):
        with pytest.raises(StoreUnavailableError, match="a file is missing"):
            await backoff.read("b", database.read)
    assert database.reads == [0, 5, 15, 35, 75, 135, 195, 255]


async def test_success_ends_the_backoff() -> None:
    database = Database(repaired_at=5)
    backoff = ReadBackoff(first=5, longest=60, now=lambda: database.now)
    with pytest.raises(StoreUnavailableError):
        await backoff.read("b", database.read)
    database.now = 5
    for _ in range(2):
        assert await backoff.read("b", database.read) == "points"
    assert database.reads == [0, 5, 5]


async def test_keys_have_separate_backoffs() -> None:
    failing, working = Database(repaired_at=1_000), Database(repaired_at=0)
    backoff = ReadBackoff(now=lambda: 0.0)
    with pytest.raises(StoreUnavailableError):
        await backoff.read("b", failing.read)
    assert await backoff.read("c", working.read) == "points"
