"""Downloads: each selected point once and in order, in every format, without leftover files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import httpx
import numpy as np
import pytest

from solo_app.batches.models import FileFormat, Point
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.storage.duckdb import export
from tests.helpers.api import create_client
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    duckdb_store,
    open_harness,
    open_service,
    wait_until,
)

pytestmark = pytest.mark.anyio

NOON = datetime(2012, 11, 11, 10, 10)
FORMATS = ["csv", "parquet", "json"]
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}
KEYS = [3, 0.1 + 0.2, -2.5, 1e300, 5e-324, 2.0**53, -7, 1e15, 12345678.000000001]
MANY = 25_000


def read(kind: str, content: bytes) -> list[Point]:
    """Parse the points in a file, independently of the code under test."""
    if kind == "csv":
        assert content.startswith(b"seq,ts,key\n")
        rows = [
            (int(row["seq"]), row["ts"], float(row["key"]))
            for row in csv.DictReader(io.StringIO(content.decode()))
        ]
    elif kind == "json":
        rows = [(row["seq"], row["ts"], row["data"]["key"]) for row in json.loads(content)]
    else:
        return read_parquet(content)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", ts) for _, ts, _ in rows)
    return [Point(seq, datetime.fromisoformat(ts[:-1]), key) for seq, ts, key in rows]


def read_parquet(content: bytes) -> list[Point]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        found = duckdb.from_parquet(file.name)
        assert found.columns == ["seq", "ts", "key"]
        assert [str(kind) for kind in found.types] == [
            "BIGINT",
            "TIMESTAMP WITH TIME ZONE",
            "DOUBLE",
        ]
        rows = found.project("seq, ts AT TIME ZONE 'UTC', key").fetchall()
        return [Point(*row) for row in rows]


def leftovers(service: BatchService) -> list[str]:
    folder = duckdb_store(service).path.parent
    return [path.name for path in folder.iterdir() if "download" in path.name]


async def produce(service: BatchService, script: ScriptedSource, keys: list[float]) -> None:
    """Make the scripted batch produce these keys, one per second from 10:10:00 on."""
    before = service.totals().row_count
    for n, key in enumerate(keys):
        script.emit(NOON + timedelta(seconds=n), key)
    await wait_until(lambda: service.totals().row_count == before + len(keys))


@pytest.mark.parametrize("kind", FORMATS)
async def test_file_contains_the_stored_points(
    kind: str,
    client: httpx.AsyncClient,
    service: BatchService,
    script: ScriptedSource,
    clock: FakeClock,
) -> None:
    batch_id = f"sensor-{kind}"
    await service.start(batch_id)
    await produce(service, script, KEYS)
    clock.set("2012-11-11 10:11:10.5")
    answer = await client.get(f"/batches/{batch_id}/download?format={kind}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPES[kind]
    assert (
        answer.headers["content-disposition"]
        == f'attachment; filename="{batch_id}-20121111T101110Z.{kind}"'
    )
    stored = await service.points(batch_id, 0, 100)
    assert read(kind, answer.content) == stored
    assert [point.key for point in stored] == KEYS


async def test_text_formats_points_like_the_api(
    client: httpx.AsyncClient, service: BatchService, script: ScriptedSource, batch_id: str
) -> None:
    await service.start(batch_id)
    await produce(service, script, [57, 0.5])
    assert (await client.get(f"/batches/{batch_id}/download")).text == (
        "seq,ts,key\n1,2012-11-11T10:10:00.000000Z,57\n2,2012-11-11T10:10:01.000000Z,0.5\n"
    )
    objects = (await client.get(f"/batches/{batch_id}/download?format=json")).json()
    assert objects == (await client.get(f"/batches/{batch_id}/points")).json()["points"]


@pytest.mark.parametrize("kind", FORMATS)
async def test_from_is_inclusive_and_to_is_exclusive(
    kind: str,
    client: httpx.AsyncClient,
    service: BatchService,
    script: ScriptedSource,
    batch_id: str,
) -> None:
    await service.start(batch_id)
    await produce(service, script, [1, 2, 3, 4, 5])

    async def seqs(**times: str) -> list[int]:
        answer = await client.get(f"/batches/{batch_id}/download", params={"format": kind, **times})
        assert answer.status_code == 200
        return [point.seq for point in read(kind, answer.content)]

    assert await seqs(**{"from": "2012-11-11T10:10:01Z"}) == [2, 3, 4, 5]
    assert await seqs(to="2012-11-11T10:10:03Z") == [1, 2, 3]
    assert await seqs(**{"from": "2012-11-11T11:10:01+01:00", "to": "2012-11-11T10:10:03"}) == [
        2,
        3,
    ]
    assert await seqs(**{"from": "2012-11-11T10:10:01.000001Z", "to": "2012-11-11T10:10:02Z"}) == []
    assert await seqs(**{"from": "2112-11-11T10:10Z"}) == []


@pytest.mark.parametrize("kind", FORMATS)
async def test_batch_without_points_has_an_empty_file(
    kind: str, client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    answer = await client.get(f"/batches/{batch_id}/download?format={kind}")
    assert read(kind, answer.content) == []


async def test_invalid_downloads_are_refused(
    client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    refused = {
        "/batches/nobody/download": 404,
        "/batches/~/download": 422,
        f"/batches/{batch_id}/download?format=xml": 422,
        f"/batches/{batch_id}/download?format=": 422,
        f"/batches/{batch_id}/download?from=yesterday": 422,
        f"/batches/{batch_id}/download?to=": 422,
        f"/batches/{batch_id}/download?from=2012-11-11T10:10Z&to=2012-11-11T10:10Z": 422,
        f"/batches/{batch_id}/download?from=2012-11-11T10:11Z&to=2012-11-11T10:10Z": 422,
        f"/batches/{batch_id}/download?after=5": 422,
    }
    for address, status in refused.items():
        answer = await client.get(address)
        assert answer.status_code == status, address
        assert answer.headers["content-type"] == "application/problem+json"
        assert "content-disposition" not in answer.headers
        if "&to=" in address:
            assert answer.json()["detail"] == "`from` must be before `to`."
    # "download" is a valid batch id.
    await service.start("download")
    assert (await client.get("/batches/download")).json()["batch_id"] == "download"
    assert (await client.head("/batches/download")).status_code == 200
    assert (await client.get("/batches/download/download")).text == "seq,ts,key\n"


@pytest.mark.parametrize("kind", FORMATS)
async def test_head_has_the_headers_of_get_and_builds_no_file(
    kind: str,
    client: httpx.AsyncClient,
    service: BatchService,
    monkeypatch: pytest.MonkeyPatch,
    batch_id: str,
) -> None:
    await service.start(batch_id)
    for path in (f"/batches/{batch_id}/download?format={kind}", "/backup"):
        get = await client.get(path)
        with monkeypatch.context() as patch:
            patch.setattr(service, "download", None)
            patch.setattr(service, "backup", None)
            head = await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        kept = {name: value for name, value in get.headers.items() if name != "content-length"}
        assert dict(head.headers) == kept
    for query, status in [
        ("/batches/nobody/download", 404),
        (f"/batches/{batch_id}/download?format=xml", 422),
        (f"/batches/{batch_id}/download?from=2012-11-11T10:11Z&to=2012-11-11T10:10Z", 422),
        ("/backup?to=/etc", 422),
    ]:
        assert (await client.head(query)).status_code == status


async def many() -> AsyncIterator[Numbers]:
    """Enough points for several slices, in blocks, so that those of two batches alternate."""
    for start in range(0, MANY, 500):
        yield np.arange(start, start + 500, dtype=np.float64)
        await asyncio.sleep(0.001)


@pytest.fixture(scope="module")
async def mingled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BatchService]:
    """A service with many points of two batches."""
    folder = tmp_path_factory.mktemp("mingled")
    async with open_service(folder / "solo.duckdb", many=many) as service:
        await service.start("a", "many")
        await service.start("b", "many")
        await wait_until(lambda: not service.running())
        yield service


@pytest.mark.parametrize("kind", FORMATS)
async def test_many_points_are_complete_and_in_order(kind: str, mingled: BatchService) -> None:
    assert MANY > 2 * export.SLICE_POINTS
    async with create_client(mingled) as client:
        for batch_id in "ab":
            answer = await client.get(f"/batches/{batch_id}/download?format={kind}")
            points = read(kind, answer.content)
            assert [point.seq for point in points] == list(range(1, MANY + 1))
            assert [point.key for point in points] == list(range(MANY))
    assert leftovers(mingled) == []


@pytest.mark.parametrize("kind", FORMATS)
async def test_points_produced_during_a_download_are_not_included(
    kind: str,
    service: BatchService,
    script: ScriptedSource,
    batch_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "SLICE_POINTS", 2)
    await service.start(batch_id)
    await produce(service, script, [1, 2, 3, 4, 5])
    download = await service.download(batch_id, FileFormat(kind))
    content = b""
    async for piece in download.chunks:
        content += piece
        await produce(service, script, [6])
    assert [point.key for point in read(kind, content)] == [1, 2, 3, 4, 5]
    assert (download.size or len(content)) == len(content)


async def test_committed_points_are_in_the_file(
    client: httpx.AsyncClient, service: BatchService, script: ScriptedSource, batch_id: str
) -> None:
    await service.start(batch_id)
    for count in range(1, 20):
        await produce(service, script, [count])
        answer = await client.get(f"/batches/{batch_id}/download")
        assert len(read("csv", answer.content)) == count


async def test_disconnected_client_leaves_no_file(
    service: BatchService, script: ScriptedSource, batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_CHUNK_BYTES", 16)
    await service.start(batch_id)
    await produce(service, script, [1, 2, 3])
    never_begun = await service.download(batch_id, FileFormat.PARQUET)
    assert leftovers(service) == []  # Not even during the download.
    begun = await service.download(batch_id, FileFormat.PARQUET)
    assert (await anext(begun.chunks)).startswith(b"PAR1")
    del never_begun, begun
    assert leftovers(service) == []


async def test_files_of_a_killed_process_are_removed_at_the_next_start(tmp_path: Path) -> None:
    leftover = tmp_path / ".solo.duckdb.download-x7"
    leftover.mkdir()
    (leftover / "points.parquet").write_bytes(b"PAR1")
    (tmp_path / ".other.download-x7").mkdir()
    async with open_service(tmp_path / "solo.duckdb") as service:
        assert leftovers(service) == [".other.download-x7"]


async def test_full_disk_is_reported(
    client: httpx.AsyncClient, service: BatchService, monkeypatch: pytest.MonkeyPatch, batch_id: str
) -> None:
    await service.start(batch_id)
    monkeypatch.setattr(
        export, "_INTO_PARQUET", export._INTO_PARQUET.replace("$path", "'/dev/full/x'")
    )
    answer = await client.get(f"/batches/{batch_id}/download?format=parquet")
    assert answer.status_code == 503
    assert "cannot be written" in answer.json()["detail"]


async def test_shutdown_aborts_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SLICE_POINTS", 1)
    async with open_harness(tmp_path) as harness:
        await harness.service.start("b")
        await produce(harness.service, harness.script, [1, 2, 3])
        download = await harness.service.download("b", FileFormat.CSV)
        assert await anext(download.chunks) == b"seq,ts,key\n"
        harness.service.end_streams()
        with pytest.raises(Exception, match="shutting down"):
            await anext(download.chunks)
