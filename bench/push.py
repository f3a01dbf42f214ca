"""Push: a million numbers in one request, and one number per request from 50 clients.

Each is compared with cases that do less work.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import httpx
import numpy as np

from bench.app import run, run_separately, running_app, separate_processes, work_folder
from bench.queries import send_requests
from bench.report import Table
from solo_app.api.push import NDJSON, parse_lines
from solo_app.batches.ingest import MAX_POINTS_PER_APPEND
from solo_app.batches.service import BatchService
from solo_app.sources.push import PUSH
from solo_app.storage.duckdb.store import DuckDBStore

logger = logging.getLogger(__name__)

_CLIENTS = 50
_PART_BYTES = 65_536

_NUMBERS, _REQUESTS, _P99 = "numbers/s", "requests/s", "p99 (ms)"
_PARSED, _INGESTED, _PUSHED = "parsed only", "stored in process, without HTTP", "pushed as NDJSON"
_GET, _POST = "GET /", "POST one number"


def measure(quick: bool) -> list[Table]:
    count, seconds = (10_000, 0.05) if quick else (1_000_000, 2.0)
    lines = Table(f"Push: {count:,} numbers in one request", _NUMBERS)
    single = Table(f"Push: one number per request, {_CLIENTS} clients", _REQUESTS, _P99)
    for number in range(1 if quick else 3):
        logger.info("Push, round %d", number + 1)
        with work_folder() as folder:
            lines.add(_PARSED, run_separately(measure_parsing, count))
            lines.add(_INGESTED, run_separately(measure_ingest, folder / "in.duckdb", count))
            with running_app(folder, folder / "app.duckdb") as server:
                lines.add(_PUSHED, run_separately(measure_ndjson, server.port, count))
                for case, path, body in ((_GET, "/", b""), (_POST, "/batches/b/points", b"21.5")):
                    with separate_processes(1) as processes:
                        arguments = (server.port, path, _CLIENTS, seconds, body)
                        rate, p99 = processes.apply(run, (send_requests, *arguments))
                    single.add(case, {_REQUESTS: rate, _P99: p99})
    lines.target(_PUSHED, _NUMBERS, at_least=0.5 * lines.median(_PARSED, _NUMBERS))
    single.target(_POST, _REQUESTS, at_least=0.5 * single.median(_GET, _REQUESTS))
    return [lines, single]


def _text(count: int) -> bytes:
    numbers = np.random.default_rng(0).integers(0, 1_000_000, count) / 10_000
    return "".join(f"{number}\n" for number in numbers.tolist()).encode()


async def measure_parsing(count: int) -> dict[str, float]:
    """Parse the text in parts as large as those that the server receives."""
    text, parsed, start = _text(count), 0, 0
    began = time.perf_counter()
    while start < len(text):
        end = text.rindex(b"\n", start, start + _PART_BYTES) + 1
        parsed += len(parse_lines(text[start:end]).keys)
        start = end
    seconds = time.perf_counter() - began
    assert parsed == count, parsed
    return {_NUMBERS: count / seconds}


async def measure_ingest(database: Path, count: int) -> dict[str, float]:
    """Store the parsed numbers through the service."""
    keys = parse_lines(_text(count)).keys
    service = BatchService(DuckDBStore(database), {PUSH.name: PUSH})
    await service.open()
    await service.start("b", PUSH.name)
    push = service.open_push("b")
    began = time.perf_counter()
    for start in range(0, count, MAX_POINTS_PER_APPEND):
        await push.append(keys[start : start + MAX_POINTS_PER_APPEND])
    await push.commit()
    seconds = time.perf_counter() - began
    await service.close()
    return {_NUMBERS: count / seconds}


async def measure_ndjson(port: int, count: int) -> dict[str, float]:
    """Send the text in one request, after a request that starts the batch."""
    text, headers = _text(count), {"Content-Type": NDJSON}
    url = f"http://localhost:{port}/batches/b/points"
    async with httpx.AsyncClient(timeout=60) as client:
        (await client.post(url, content=b"0")).raise_for_status()
        began = time.perf_counter()
        response = await client.post(url, content=text, headers=headers)
        seconds = time.perf_counter() - began
    assert response.json()["count"] == count
    return {_NUMBERS: count / seconds}
