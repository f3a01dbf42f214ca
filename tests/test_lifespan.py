"""Opening and closing of the service with the server."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from solo_app.config import Settings
from solo_app.lifespan import running_service
from solo_app.sources import create_sources
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def restore_process() -> Iterator[None]:
    """Restore the signal handlers and the limit that the lifespan changes."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    for number, handler in handlers.items():
        signal.signal(number, handler)


async def test_end_of_the_lifespan_interrupts_batches_and_closes_the_database(
    tmp_path: Path,
) -> None:
    database = tmp_path / "solo.duckdb"
    settings = Settings(SOLO_DATABASE=database, SOLO_INTERVAL=0.002)
    async with running_service(settings, create_sources(settings)) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 10)
    with duckdb.connect(database) as connection:
        runs = connection.execute("SELECT status, last_seq FROM runs").fetchall()
        points = connection.execute("SELECT count(*) FROM points").fetchone()
    assert points
    assert runs == [("interrupted", points[0])]
