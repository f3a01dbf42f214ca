"""Points that a damaged file lost: whoever reads goes on behind them, and misses no others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.follow import follow
from solo_app.batches.model import BatchStatus
from solo_app.batches.service import BatchService
from tests.api.conftest import client_of
from tests.workbench import counting, open_service, silent, until

pytestmark = pytest.mark.anyio

POINTS = 8_000
LOST = range(2_001, 6_001)
"""More than a reader asks for at once."""

LEFT = [seq for seq in range(1, POINTS + 1) if seq not in LOST]


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A database in whose middle points are missing, as after a block that could not be read."""
    database = tmp_path / "solo.duckdb"
    async with open_service(database, many=counting(POINTS)) as service:
        await service.start("b", "many")
        await until(lambda: not service.running(), 60)
    with duckdb.connect(database) as connection:
        connection.execute("DELETE FROM points WHERE seq BETWEEN ? AND ?", [LOST[0], LOST[-1]])
    return database


async def followed(service: BatchService, after: int, most: int = POINTS) -> list[int | str]:
    """What a reader gets, up to the end it is told of or so many."""
    found: list[int | str] = []
    async for news in follow(service, "b", after, quiet=0.1):
        if isinstance(news, BatchStatus):
            return [*found, str(news)]
        found += [point.seq for point in news]
        if len(found) >= most or not news:
            return found
    return found


async def test_streams_and_pages_of_points_go_on_behind_them(database: Path) -> None:
    async with open_service(database, silent=silent) as service, client_of(service) as client:
        assert await followed(service, 0) == [*LEFT, "finished"]
        assert await followed(service, LOST[10]) == [*range(LOST[-1] + 1, POINTS + 1), "finished"]
        found, address = [], "/batches/b/points?limit=700"
        while address:
            page = (await client.get(address)).json()
            found += [point["seq"] for point in page["points"]]
            address = page["next"]
        assert found == LEFT


async def test_a_reader_whose_points_are_lost_waits_for_the_next_run_in_peace(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(database) as connection:
        connection.execute("DELETE FROM points WHERE seq > ?", [LOST[0]])
    async with open_service(database, silent=silent) as service:
        await service.start("b", "silent")
        asked: list[int] = []
        points = service.points

        async def counted(batch_id: str, after: int, limit: int) -> list[object]:
            asked.append(after)
            return await points(batch_id, after, limit)  # type: ignore[return-value]

        monkeypatch.setattr(service, "points", counted)
        async with asyncio.timeout(10):
            assert await followed(service, LOST[10]) == []
        assert len(asked) <= 2
