"""Numbers have one format in all responses."""

from __future__ import annotations

import re

import httpx
import pytest

from solo_app.batches.models import format_number
from tests.api.requests import produce
from tests.helpers.service import Harness

pytestmark = pytest.mark.anyio

KEYS = [1.0, -0.0, 0.1 + 0.2, -2.5, 1e300, 5e-324, 1.5e-9, 1e-5, 2.0**49, -1e15, 1e15, 1e16]


async def test_points_have_the_same_number_format_everywhere(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    texts = [format_number(key) for key in KEYS]
    await client.post(f"/stream/{batch_id}")
    for n, (key, text) in enumerate(zip(KEYS, texts, strict=True)):
        await produce(harness, key)
        assert f'"key":{text}}}' in (await client.get("/tasks")).text
        page = await client.get(f"/batches/{batch_id}/points?after={n}")
        assert f'"key": {text}}}' in page.text
    await client.delete(f"/stream/{batch_id}")
    stream = (await client.get(f"/stream/{batch_id}?after=0")).text
    assert re.findall(r'"key": ([^}]+)}', stream) == texts
    csv = (await client.get(f"/batches/{batch_id}/download")).text
    assert [line.split(",")[2] for line in csv.splitlines()[1:]] == texts
    file = (await client.get(f"/batches/{batch_id}/download?format=json")).text
    assert re.findall(r'"key":([^}]+)}', file) == texts


@pytest.mark.parametrize("key", [KEYS[1], *KEYS[4:]])
async def test_aggregates_have_the_number_format_of_points(
    key: float, client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, key)
    harness.clock.set("2012-11-11 10:11:10")
    text = format_number(key + 0.0)
    aggregate = (await client.get(f"/agg/{batch_id}")).text
    assert f'"average":{text},"sum":{text},' in aggregate
    minutes = (await client.get(f"/batches/{batch_id}/minutes")).text
    assert f'"sum":{text},"average":{text},"min":{text},"max":{text}' in minutes


async def test_sum_beyond_the_range_of_a_double_is_null(
    client: httpx.AsyncClient, harness: Harness, batch_id: str
) -> None:
    await client.post(f"/stream/{batch_id}")
    await produce(harness, 1e308, 1e308)
    harness.clock.set("2012-11-11 10:11:10")
    aggregate = (await client.get(f"/agg/{batch_id}")).json()
    assert (aggregate["sum"], aggregate["average"], aggregate["count"]) == (None, None, 2)
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for name in ("Aggregate", "Minute"):
        assert schemas[name]["properties"]["sum"]["type"] == ["number", "null"]
