"""Soak: 100,000 rows per second with 50 pages and 50 streams; memory and files over time."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx

from bench import clients
from bench.app import (
    BATCHES,
    Server,
    Usage,
    database_size,
    run,
    running_app,
    separate_processes,
    work_folder,
)
from bench.page_clients import measure_pages
from bench.report import Table
from bench.streams import measure_streams

logger = logging.getLogger(__name__)

_COUNT = 50
_PATHS = ("/", *(f"/batch/{name}" for name in BATCHES))
_SAMPLE_EVERY = 10.0
_SETTLE = 5.0

_RATE, _CPU, _MEMORY = "rows/s", "CPU (% of a core)", "memory (MiB)"
_FIRST_HALF, _SECOND_HALF = "first half", "second half"
_FILES, _SIZE = "files (MiB)", "files (bytes per row)"
_MEMORY_LIMIT = 812e6 / 2**20
"""DuckDB's memory limit of 512 MB, and 300 MB for everything else."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of the app at ``at`` seconds of the monotonic clock. Sizes are in bytes."""

    at: float
    row_count: int
    cpu_seconds: float
    memory: int
    files: int


def measure(minutes: float) -> list[Table]:
    """Run the app for at least one minute. The streams follow the slow batch."""
    seconds = max(60.0, minutes * 60)
    settings = {"REFLEX_APP_MODULE_IMPORT": "bench.soak_app"}
    with work_folder() as folder, separate_processes(2) as processes:
        database = folder / "app.duckdb"
        with running_app(folder, database, settings) as server:
            server.start_batches()
            period = (_COUNT, _SETTLE, seconds)
            streams = processes.apply_async(run, (measure_streams, server, BATCHES[:1], *period))
            pages = processes.apply_async(run, (measure_pages, server, _PATHS, *period))
            samples = _take_samples(server, database, seconds)
            return [create_table(samples), _create_delivery_table(streams.get(), pages.get())]


def _take_samples(server: Server, database: Path, seconds: float) -> list[Sample]:
    usage = Usage(server)
    time.sleep(_SETTLE)
    samples: list[Sample] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_SAMPLE_EVERY)
        sample = Sample(
            time.monotonic(),
            httpx.get(f"{server.url}/").json()["row_count"],
            usage.cpu_seconds(),
            usage.memory(),
            database_size(database),
        )
        logger.info(
            "Soak: %s rows, %d MiB of memory, %d MiB of files",
            f"{sample.row_count:,}",
            sample.memory // 2**20,
            sample.files // 2**20,
        )
        samples.append(sample)
    return samples


def create_table(samples: list[Sample]) -> Table:
    """Compare the halves of the run. Each sample is a round."""
    title = f"Soak: 100,000 rows/s with {_COUNT} pages and {_COUNT} streams"
    table = Table(title, _RATE, _CPU, _MEMORY, _FILES, _SIZE)
    for number, (before, sample) in enumerate(pairwise(samples), start=1):
        seconds = sample.at - before.at
        table.add(
            _FIRST_HALF if number < len(samples) / 2 else _SECOND_HALF,
            {
                _RATE: (sample.row_count - before.row_count) / seconds,
                _CPU: 100 * (sample.cpu_seconds - before.cpu_seconds) / seconds,
                _MEMORY: sample.memory / 2**20,
                _FILES: sample.files / 2**20,
                _SIZE: sample.files / sample.row_count,
            },
        )
    table.target(_SECOND_HALF, _RATE, at_least=99_000)
    table.target(_SECOND_HALF, _MEMORY, below=_MEMORY_LIMIT)
    return table


def _create_delivery_table(streams: dict[str, float], pages: dict[str, float]) -> Table:
    table = Table("Soak: delivery", clients.DELIVERED, clients.P50, clients.P99)
    for case, figures in ((f"{_COUNT} streams", streams), (f"{_COUNT} pages", pages)):
        del figures[clients.CPU]  # CPU usage of the whole app, shown in the other table.
        table.add(case, figures)
        table.target(case, clients.DELIVERED, at_least=100)
        table.target(case, clients.P99, below=100)
    return table
