"""Queries: totals, aggregate, minutes and points at 1,000,000 and 100,000,000 rows."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from bench.app import (
    BATCHES,
    Server,
    run,
    run_separately,
    running_app,
    running_template,
    separate_processes,
    work_folder,
)
from bench.databases import write_database, write_template_database
from bench.report import Table
from solo_app.batches.models import Window
from solo_app.batches.service import BatchService
from solo_app.batches.source import DEFAULT_SOURCE
from solo_app.config import HOST
from solo_app.sources.random import random_kind
from solo_app.storage.duckdb.store import DuckDBStore

logger = logging.getLogger(__name__)

_SIZES = (1_000_000, 100_000_000)
_MAX_TEMPLATE_ROWS = 1_000_000
"""Response times of the template grow in proportion to the rows."""

TOTALS, AGGREGATE, MINUTES, POINTS = "GET /", "GET /agg", "GET /minutes", "GET /points"

_RATES = {1: "requests/s, 1 connection", 50: "requests/s, 50 connections"}
_P99S = {1: "p99 (ms), 1 connection", 50: "p99 (ms), 50 connections"}
_CALLS = 1_000
_POINTS = 100
_BATCH = BATCHES[0]
_CONTENT_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def measure(quick: bool) -> list[Table]:
    sizes = (100_000,) if quick else _SIZES
    columns = [column for count in _RATES for column in (_RATES[count], _P99S[count])]
    over_http = Table("Queries over HTTP, while five batches run at 4 Hz", *columns)
    in_process = Table("Queries in process, p50 in µs", *map(_rows, sizes))
    for size in sizes:
        logger.info("Queries: %s", _rows(size))
        with work_folder() as folder:
            end = write_database(folder / "app.duckdb", size)
            with running_app(folder, folder / "app.duckdb") as server:
                _measure_http(server, _paths(size, end), _rows(size), quick, over_http)
            for _ in range(1 if quick else 3):
                arguments = (folder / "app.duckdb", size, end)
                for query, microseconds in run_separately(measure_service, *arguments).items():
                    in_process.add(query, {_rows(size): microseconds})
            if size <= _MAX_TEMPLATE_ROWS:
                _measure_template(folder / "template.duckdb", size, end, quick, over_http)
    for query in (TOTALS, AGGREGATE):
        in_process.target(query, _rows(_SIZES[-1]), below=10)
    return [over_http, in_process]


def _rows(size: int) -> str:
    return f"{size:,} rows"


def _paths(size: int, end: datetime) -> dict[str, str]:
    after = size // len(BATCHES) // 2
    return {
        TOTALS: "/",
        AGGREGATE: f"/agg/{_BATCH}?at={end.isoformat()}Z",
        MINUTES: f"/batches/{_BATCH}/minutes",
        POINTS: f"/batches/{_BATCH}/points?after={after}&limit={_POINTS}",
    }


def _measure_template(database: Path, size: int, end: datetime, quick: bool, table: Table) -> None:
    write_template_database(database, size, end)
    paths = {
        query: path for query, path in _paths(size, end).items() if query in (TOTALS, AGGREGATE)
    }
    with running_template(database) as server:
        _measure_http(server, paths, f"{_rows(size)}, template", quick, table)


def _measure_http(
    server: Server, paths: dict[str, str], case: str, quick: bool, table: Table
) -> None:
    server.start_batches()
    with separate_processes(1) as processes:
        for _ in range(1 if quick else 3):
            for query, path in paths.items():
                for count in _RATES:
                    arguments = (server.port, path, count, 0.05 if quick else 1.0)
                    rate, p99 = processes.apply(run, (send_requests, *arguments))
                    table.add(f"{query}, {case}", {_RATES[count]: rate, _P99S[count]: p99})


async def send_requests(
    port: int, path: str, connections: int, seconds: float, body: bytes = b""
) -> tuple[float, float]:
    """Return the responses per second and the p99 of their times in milliseconds.

    Sends GET requests, or POST requests if there is a body. Each connection sends at least one
    request, and the next one after each response. Raises RuntimeError for a status other than 200.
    """
    times: list[float] = []
    # HTTP clients for Python need more time per request than the server.
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n"
    head += f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_send_on_connection(port, request, began + seconds, times))
    return len(times) / (time.perf_counter() - began), float(np.percentile(times, 99))


async def _send_on_connection(port: int, request: bytes, until: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    sent = 0.0
    while sent < until:
        sent = time.perf_counter()
        writer.write(request)
        response = await reader.readuntil(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(response)
        body = await reader.readexactly(int(length[1]) if length else 0)
        if not response.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{response!r} {body!r}")
        times.append(1000 * (time.perf_counter() - sent))
    writer.close()


async def measure_service(database: Path, size: int, end: datetime) -> dict[str, float]:
    """Return the p50 in microseconds of each query, called on the service."""
    service = BatchService(DuckDBStore(database), {DEFAULT_SOURCE: random_kind(0.25)})
    await service.open()
    for name in BATCHES:
        await service.start(name)
    after = size // len(BATCHES) // 2
    hour = Window(end - timedelta(hours=1), end)

    async def totals() -> None:
        service.totals()

    queries: dict[str, Callable[[], Awaitable[object]]] = {
        TOTALS: totals,
        AGGREGATE: lambda: service.aggregate(_BATCH, end),
        MINUTES: lambda: service.minutes(_BATCH, hour),
        POINTS: lambda: service.points(_BATCH, after, _POINTS),
    }
    times = {query: await _time_calls(call) for query, call in queries.items()}
    await service.close()
    return times


async def _time_calls(call: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(_CALLS):
        began = time.perf_counter_ns()
        await call()
        times.append((time.perf_counter_ns() - began) / 1000)
    return float(np.percentile(times, 50))
