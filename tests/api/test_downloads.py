"""Responses that browsers save as files. Their contents are tested with the store."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import httpx
import pytest

from solo_app.batches.models import FileFormat
from solo_app.batches.service import BatchService
from tests.api.requests import check_problem, produce
from tests.helpers.api import create_client
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import Harness, open_service, silent

pytestmark = pytest.mark.anyio

MEDIA_TYPES = {
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
    FileFormat.JSON: "application/json",
}


@pytest.mark.parametrize("file_format", FileFormat)
async def test_download_has_a_file_name_and_type(
    file_format: FileFormat, client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await harness.service.start(batch_id)
    await produce(harness, 1, 2.5)
    harness.clock.set("2012-11-11 10:11:10.5")
    response = await client.get(f"/batches/{batch_id}/download?format={file_format}")
    assert response.status_code == 200
    assert response.headers["content-type"] == MEDIA_TYPES[file_format]
    name = f"{batch_id}-20121111T101110Z.{file_format}"
    assert response.headers["content-disposition"] == f'attachment; filename="{name}"'
    download = await harness.service.download(batch_id, file_format)
    assert response.content == b"".join([chunk async for chunk in download.chunks])


async def test_json_file_matches_the_points_route(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await harness.service.start(batch_id)
    await produce(harness, 57, 0.5)
    objects = (await client.get(f"/batches/{batch_id}/download?format=json")).json()
    assert objects == (await client.get(f"/batches/{batch_id}/points")).json()["points"]


async def test_unit_is_in_the_file(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await harness.service.start(batch_id)
    await produce(harness, 57)
    await client.patch(f"/batches/{batch_id}", json={"unit": "°C"})
    csv, file = [
        (await client.get(f"/batches/{batch_id}/download?format={name}")).content.decode()
        for name in ("csv", "json")
    ]
    assert csv == "seq,ts,key,unit\n1,2012-11-11T10:10:00.000000Z,57,°C\n"
    assert file == (
        '[{"seq":1,"ts":"2012-11-11T10:10:00.000000Z","data":{"key":57,"unit":"°C"}}]\n'
    )


async def test_range_of_a_download_is_half_open(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await harness.service.start(batch_id)
    await produce(harness, 1, 2, 3, 4)
    params = {"from": "2012-11-11T11:10:01+01:00", "to": "2012-11-11T10:10:03"}
    rows = (await client.get(f"/batches/{batch_id}/download", params=params)).text.splitlines()
    assert [row.split(",")[0] for row in rows] == ["seq", "2", "3"]


async def test_batch_can_be_named_download(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    await service.start("download")
    assert (await client.get("/batches/download")).json()["batch_id"] == "download"
    assert (await client.head("/batches/download")).status_code == 200
    assert (await client.get("/batches/download/download")).text == "seq,ts,key\n"


@pytest.mark.parametrize("query", ["?format=csv", "?format=json", "?format=parquet"])
async def test_head_has_the_headers_of_get(
    query: str, client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    for path in (f"/batches/{batch_id}/download{query}", "/backup"):
        get, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        expected = {name: v for name, v in get.headers.items() if name != "content-length"}
        assert dict(head.headers) == expected
    assert (await client.head(f"/batches/unknown/download{query}")).status_code == 404


async def test_head_creates_no_file() -> None:
    async with (
        open_service(MemoryStorage(), silent=silent) as service,
        create_client(service) as client,
    ):
        await service.start("b", "silent")
        for path in ("/batches/b/download?format=parquet", "/backup"):
            # The store in memory cannot create files.
            problem = check_problem(await client.get(path), 503)
            assert problem["code"] == "store-unavailable"
            assert (await client.head(path)).status_code == 200


async def test_backup_is_a_database(archive_client: httpx.AsyncClient, tmp_path: Path) -> None:
    response = await archive_client.get("/backup")
    name = r'attachment; filename="solo-\d{8}T\d{6}Z\.duckdb"'
    assert re.fullmatch(name, response.headers["content-disposition"])
    assert int(response.headers["content-length"]) == len(response.content)
    (tmp_path / "copy.duckdb").write_bytes(response.content)
    with duckdb.connect(tmp_path / "copy.duckdb") as copy:
        assert copy.execute("SELECT count(*) FROM points").fetchall() == [(23,)]
    check_problem(await archive_client.get("/backup?to=/etc"), 422)
