"""Archived points and backups over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import duckdb
import httpx
import pytest

from solo_app.batches.models import utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from tests.helpers.api import create_client
from tests.helpers.history import write_long_history
from tests.helpers.service import open_service

pytestmark = pytest.mark.anyio

POINTS = 50
MAX_AGE = 23
"""Number of points of the last day, one per hour. Earlier points are archived."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archived") / "solo.duckdb"


@pytest.fixture(scope="module")
async def mostly_archived(database: Path) -> AsyncIterator[BatchService]:
    """A service whose batch ``b`` is mostly archived. Tests must not change it."""
    end = utc_now() - timedelta(minutes=2)
    write_long_history(database, ["b"], POINTS, timedelta(hours=1), end)
    async with open_service(database) as service:
        keeper = Retention(service._store, timedelta(days=1), utc_now)
        assert await keeper.archive_old_points() == POINTS - MAX_AGE
        yield service


@pytest.fixture
async def archived(mostly_archived: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API of that service."""
    async with create_client(mostly_archived) as client:
        yield client


def ids(text: str) -> list[int]:
    return [int(seq) for seq in re.findall(r"^id: (\d+)$", text, re.M)]


@pytest.mark.parametrize("last_seen", [0, 10, POINTS - MAX_AGE, POINTS - 1])
async def test_stream_resumes_from_the_archive_without_gaps_or_duplicates(
    archived: httpx.AsyncClient, last_seen: int
) -> None:
    answer = await archived.get("/stream/b", headers={"Last-Event-ID": str(last_seen)})
    assert ids(answer.text) == list(range(last_seen + 1, POINTS + 1))
    assert answer.text.endswith('event: end\ndata: {"status": "stopped"}\n\n')


async def test_points_are_paged_from_the_archive_to_the_database(
    archived: httpx.AsyncClient,
) -> None:
    seqs, address = [], "/batches/b/points?limit=7"
    while address:
        page = (await archived.get(address)).json()
        seqs += [point["seq"] for point in page["points"]]
        address = page["next"]
    assert seqs == list(range(1, POINTS + 1))


async def test_missing_file_is_a_problem_that_names_it(
    archived: httpx.AsyncClient, database: Path, tmp_path: Path
) -> None:
    (file,) = database.with_name("solo.duckdb.archive").iterdir()
    file.rename(tmp_path / file.name)
    try:
        await check_missing_file(file, archived)
    finally:
        (tmp_path / file.name).rename(file)


async def check_missing_file(file: Path, archived: httpx.AsyncClient) -> None:
    for path in ("/batches/b/points", "/stream/b?after=3", "/batches/b/download"):
        answer = await archived.get(path)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert file.name in answer.json()["detail"]
    assert len((await archived.get(f"/batches/b/points?after={POINTS - MAX_AGE}")).json()["points"])
    assert ids((await archived.get(f"/stream/b?after={POINTS - 2}")).text) == [POINTS - 1, POINTS]


async def test_backup_is_a_file_download(archived: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await archived.get("/backup")
    name = r'attachment; filename="solo-\d{8}T\d{6}Z\.duckdb"'
    assert re.fullmatch(name, answer.headers["content-disposition"])
    assert int(answer.headers["content-length"]) == len(answer.content)
    (tmp_path / "copy.duckdb").write_bytes(answer.content)
    with duckdb.connect(tmp_path / "copy.duckdb") as copy:
        assert copy.execute("SELECT count(*) FROM points").fetchall() == [(MAX_AGE,)]
    assert (await archived.get("/backup?to=/etc")).status_code == 422
