"""Asking: `/agg` and `GET /` at 100 000 to 100 000 000 rows, over HTTP and inside the process.

While it is asked the app runs five batches at the default pace, and so does the template's way.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from bench import http_load, rows
from bench.app import running_app
from bench.asking_inside import Inside, call, figures_inside
from bench.figures import Figure, times_the_template, told
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.scale import Scale
from tests.running_app import PROJECT, RunningApp, free_port

CONNECTIONS = (1, 50)
_LARGEST_OF_TEMPLATE = 10_000_000
_RATE = "answers"
_NOTE = (
    "Over HTTP it is the worker of `reflex run --env prod --backend-only` that answers, and "
    "uvicorn for the template's way. `/agg` is asked for a minute that holds one in 42 of all "
    "rows. The template's way is left out at 100 000 000 rows: its answers take longer in "
    "proportion to the rows, and 50 who ask wait for each other."
)

Key = tuple[str, int, int, str]
"""Path, rows, connections, and what of it."""


def measure(scale: Scale) -> list[Figure]:
    """Size by size: this app over HTTP, inside the process, then the template's way."""
    ours: dict[Key, list[float]] = defaultdict(list)
    theirs: dict[Key, list[float]] = defaultdict(list)
    inside: dict[int, Inside] = {}
    sizes = scale.pick((100_000, 1_000_000), (100_000, 1_000_000, 10_000_000, 100_000_000))
    for size in sizes:
        with folder() as place:
            say(f"asking: writing {size:,} rows")
            end = rows.write(place / "app.duckdb", size)
            at = end + timedelta(seconds=1)
            with running_app(place, place / "app.duckdb") as app:
                _start_batches(app.api)
                _check(app.api, at, size)
                say(f"asking: this app at {size:,} rows")
                _rounds(app.backend_port, at, size, scale, ours)
            with own_process() as process:
                calls = process.submit(call, place / "app.duckdb", at, scale.pick(3, 7))
                inside[size] = calls.result()
            if size <= _LARGEST_OF_TEMPLATE:
                rows.write_template(place / "template.duckdb", size, end)
                with _template(place / "template.duckdb") as port:
                    _start_batches(f"http://localhost:{port}")
                    _check(f"http://localhost:{port}", at, size)
                    say(f"asking: the template's way at {size:,} rows")
                    _rounds(port, at, size, scale, theirs)
    return [*figures_inside(inside), *_figures_over_http(ours, theirs)]


def _start_batches(url: str) -> None:
    for name in rows.NAMES:
        httpx.post(f"{url}/stream/{name}").raise_for_status()


def _check(url: str, at: datetime, size: int) -> None:
    """See that what is measured is a right answer."""
    answer = httpx.get(url + _aggregate(at), timeout=60).raise_for_status().json()
    assert answer["count"] == rows.rows_in_a_minute(size), answer


def _aggregate(at: datetime) -> str:
    return f"/agg/{rows.NAMES[0]}?at={at.isoformat()}Z"


def _rounds(
    port: int, at: datetime, size: int, scale: Scale, found: dict[Key, list[float]]
) -> None:
    seconds = scale.pick(0.3, 1.5)
    # Who is slow is asked less often: one round of 50 who wait for each other may take this long.
    last_start = time.monotonic() + scale.pick(5, 40)
    with own_process() as process:
        for number in range(scale.pick(1, 3)):
            if number and time.monotonic() > last_start:
                break
            for path, asked in (("/agg", _aggregate(at)), ("GET /", "/")):
                for connections in CONNECTIONS:
                    load = process.submit(http_load.ask, port, asked, connections, seconds).result()
                    for what, value in (
                        (_RATE, load.per_second),
                        ("p50", percentile(load.latencies, 50)),
                        ("p99", percentile(load.latencies, 99)),
                    ):
                        found[path, size, connections, what].append(value)


@contextmanager
def _template(database: Path) -> Iterator[int]:
    """The template's way served by uvicorn; gives its port."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-m", "uvicorn", "bench.template:app"),
            *("--port", str(port), "--log-level", "warning"),
        ],
        cwd=PROJECT,
        env={**os.environ, "TEMPLATE_DATABASE": str(database)},
    )
    try:
        while not RunningApp.answers(f"http://localhost:{port}/"):
            assert process.poll() is None, "the template's way does not start"
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def _figures_over_http(
    ours: dict[Key, list[float]], theirs: dict[Key, list[float]]
) -> Iterator[Figure]:
    largest = max(size for _, size, _, _ in theirs)
    for key, values in ours.items():
        path, size, connections, what = key
        aimed = size == largest and what == "p99"
        yield Figure(
            f"{path}, {told(size)} rows, {connections} connection{'s' * (connections > 1)}, {what}",
            "requests/s" if what == _RATE else "ms",
            values,
            better="more" if what == _RATE else "less",
            targets=(times_the_template(50),) if aimed else (),
            template=theirs.get(key, ()),
            note=_NOTE,
        )
