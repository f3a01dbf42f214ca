"""Fixtures of databases and disks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from solo_app.storage.duckdb.store import DuckDBStore
from tests.storage.stores import open_store

FullDisk = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The path of a new database in its own folder."""
    return tmp_path / "data" / "solo.duckdb"


@pytest.fixture
async def store(database: Path) -> AsyncIterator[DuckDBStore]:
    async with open_store(database) as opened:
        yield opened


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    """Return a context in which 1000 bytes are left on the disk."""

    @contextmanager
    def fill() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000))
            yield

    return fill
