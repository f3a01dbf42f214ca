"""`list` requests all pages of the API."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from solo_app.batches.models import utc_now
from tests.cli.command import run, running_app
from tests.helpers.history import write_long_history

pytestmark = pytest.mark.anyio


async def test_list_requests_all_pages(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    names = {f"b{number}" for number in range(1_001)}
    write_long_history(database, sorted(names), 1, timedelta(seconds=1), utc_now())
    async with running_app(database) as (_, url):
        code, output, _ = await run(url, "list", "--json")
    batches = json.loads(output)["batches"]
    assert (code, len(batches)) == (0, 1_001)
    assert {batch["batch_id"] for batch in batches} == names
