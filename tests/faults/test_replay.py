"""The replay of a large file: complete, with bounded memory, next to other batches."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import duckdb
import psutil
import pytest

from solo_app.batches.models import BatchStatus, utc_now
from solo_app.config import Settings
from solo_app.sources import create_sources
from tests.helpers.service import FAST_RETRY, open_service, wait_until

ROWS = 10_000_000


@pytest.mark.anyio
async def test_file_of_ten_million_rows_is_read_with_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT i::DOUBLE AS v FROM range({ROWS}) t(i)) TO '{file}'")
    config = tmp_path / "solo.toml"
    config.write_text(
        '[sources.large]\nkind = "replay"\npath = "large.parquet"\ncolumn = "v"\nspeed = 0\n'
    )
    kinds = create_sources(Settings.model_construct(config=config))
    database = tmp_path / "solo.duckdb"
    process = psutil.Process()
    async with open_service(database, utc_now, False, FAST_RETRY, **kinds) as service:
        other = await service.start("other", "random", {"interval": 0.05})
        await wait_until(lambda: service.row_count(other) > 3)
        memory, peak = process.memory_info().rss, 0
        await service.start("replay", "large")

        def has_ended() -> bool:
            nonlocal peak
            peak = max(peak, process.memory_info().rss)
            return not service.batch("replay").is_running

        await wait_until(has_ended, timeout=300)
        batch = service.batch("replay")
        assert batch.status is BatchStatus.FINISHED
        assert service.row_count(batch) == ROWS
        # As Python objects, the rows would take more than 1 GB.
        assert peak - memory < 700 * 1024**2
        assert batch.run.ended_at
        duration = batch.run.ended_at - batch.run.started_at
        times = [point.ts for point in await service.points("other", 0, 100_000)]
        assert max(b - a for a, b in pairwise(times)) < duration / 2
    with duckdb.connect(database) as connection:
        query = "SELECT count(*), sum(key), max(seq) FROM points WHERE batch_no = ?"
        assert connection.execute(query, [batch.no]).fetchall() == [
            (ROWS, ROWS * (ROWS - 1) / 2, ROWS)
        ]
