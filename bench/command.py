"""Command: lines per second that the source ``command`` stores, and that a plain pipe delivers."""

from __future__ import annotations

import logging
import subprocess
import time
from pathlib import Path

from bench.app import run_separately, work_folder
from bench.report import Table
from solo_app.batches.service import BatchService
from solo_app.config import Settings
from solo_app.sources import create_sources
from solo_app.storage.duckdb.store import DuckDBStore

logger = logging.getLogger(__name__)

_LINES = "lines/s"
_READ, _STORED = "read from the pipe only", "stored by the source command"


def measure(quick: bool) -> list[Table]:
    count = 10_000 if quick else 2_000_000
    table = Table(f"Command: {count:,} lines of a program", _LINES)
    for number in range(1 if quick else 3):
        logger.info("Command, round %d", number + 1)
        with work_folder() as folder:
            table.add(_READ, run_separately(measure_reading, count))
            table.add(_STORED, run_separately(measure_source, folder, count))
    table.target(_STORED, _LINES, at_least=100_000)
    return [table]


async def measure_reading(count: int) -> dict[str, float]:
    """Read the lines and convert them to numbers."""
    began = time.perf_counter()
    with subprocess.Popen(["seq", str(count)], stdout=subprocess.PIPE) as program:  # noqa: ASYNC220, S603, S607
        assert program.stdout
        total = sum(map(float, program.stdout))
    seconds = time.perf_counter() - began
    assert total == count * (count + 1) / 2
    return {_LINES: count / seconds}


async def measure_source(folder: Path, count: int) -> dict[str, float]:
    """Run a batch from its start to its end, which includes the start of the program."""
    config = folder / "solo.toml"
    config.write_text(f'[sources.lines]\nkind = "command"\nargv = ["seq", "{count}"]\n')
    service = BatchService(
        DuckDBStore(folder / "lines.duckdb"),
        create_sources(Settings.model_construct(config=config, interval=1.0)),
    )
    await service.open()
    began = time.perf_counter()
    batch = await service.start("b", "lines")
    producer = service.producer(batch)
    assert producer
    while not producer.has_ended:
        await producer.wait_for_points(producer.committed_seq, 1)
    seconds = time.perf_counter() - began
    assert service.row_count(batch) == count
    await service.close()
    return {_LINES: count / seconds}
