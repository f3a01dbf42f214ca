"""Asking: `/agg` and `GET /` at 100 000 to 100 000 000 rows, over HTTP and inside the process.

While it is asked the app runs five batches at the default pace, and so does the template's way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from bench import http_load, rows
from bench.app import running_app
from bench.asking_inside import Asked, call, figures_inside
from bench.figures import Figure, times_the_template, told
from bench.places import folder, own_process
from bench.progress import say
from bench.samples import percentile
from bench.scale import Scale
from tests.helpers.running_app import PROJECT, RunningApp, free_port

CONNECTIONS = (1, 50)
_LARGEST_OF_TEMPLATE = 10_000_000
_RATE = "answers"
_NOTE = (
    "Over HTTP it is the worker of `reflex run --env prod --backend-only` that answers, and "
    "uvicorn for the template's way. `/agg` is asked for a minute that holds one in 42 of the rows "
    "of its batch, one in 208 of all. Who is slow has fewer rounds: none begins after 45 seconds. "
    "The template's way is left out at 100 000 000 rows: its answers take longer in proportion to "
    "the rows, and 50 who ask wait for each other. The server that does nothing is an ASGI program "
    "that gives the same few bytes each time, on the server that the app uses, asked by the same "
    "client; beside it stands `GET /` of the template's way at the largest size that it is asked "
    "at, so the ratio is the most that an answer of this server could come to."
)

Key = tuple[str, int, int, str]
"""Path, rows, connections, and what of it."""

Found = dict[Key, list[float]]

_BARE = "a server that does nothing"
_BRIEF: dict[str, Any] = {"seconds": 0.3}
_LONG: dict[str, Any] = {"seconds": 1.5, "at_least": 100, "longest": 10}


def measure(scale: Scale) -> list[Figure]:
    """Size by size this app over HTTP and the template's way, then all sizes inside a process."""
    ours: Found = defaultdict(list)
    theirs: Found = defaultdict(list)
    databases: dict[int, Asked] = {}
    sizes = scale.pick((100_000, 1_000_000), (100_000, 1_000_000, 10_000_000, 100_000_000))
    with folder() as place:
        for size in sizes:
            say(f"asking: writing {size:,} rows")
            database = place / f"app-{size}.duckdb"
            end = rows.write(database, size)
            at = rows.asked_at(end)
            databases[size] = Asked(database, at)
            with running_app(place, database) as app:
                _start_batches(app.api)
                _check(app.api, at, size)
                say(f"asking: this app at {size:,} rows")
                _rounds(app.backend_port, _paths(at), size, scale, ours)
            if size <= _LARGEST_OF_TEMPLATE:
                rows.write_template(place / "template.duckdb", size, end)
                with _template(place / "template.duckdb") as port:
                    _start_batches(f"http://localhost:{port}")
                    _check(f"http://localhost:{port}", at, size)
                    say(f"asking: the template's way at {size:,} rows")
                    _rounds(port, _paths(at), size, scale, theirs)
                (place / "template.duckdb").unlink()
        with _bare() as port:
            say("asking: a server that does nothing")
            _rounds(port, {_BARE: "/"}, 0, scale, ours)
        say("asking: inside the process")
        with own_process() as process:
            inside = process.submit(call, databases, scale.pick(3, 7)).result()
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


def _paths(at: datetime) -> dict[str, str]:
    return {"/agg": _aggregate(at), "GET /": "/"}


def _rounds(port: int, paths: Mapping[str, str], size: int, scale: Scale, found: Found) -> None:
    load_of = partial(http_load.ask, **scale.pick(_BRIEF, _LONG))
    # Who is slow is asked less often: one round of 50 who wait for each other may take this long.
    last_start = time.monotonic() + scale.pick(5, 45)
    with own_process() as process:
        for number in range(scale.pick(1, 3)):
            if number and time.monotonic() > last_start:
                break
            for name, path in paths.items():
                for connections in CONNECTIONS:
                    load = process.submit(load_of, port, path, connections).result()
                    for what, value in (
                        (_RATE, load.per_second),
                        ("p50", percentile(load.latencies, 50)),
                        ("p99", percentile(load.latencies, 99)),
                    ):
                        found[name, size, connections, what].append(value)


@contextmanager
def _template(database: Path) -> Iterator[int]:
    """The template's way served by uvicorn; gives its port."""
    with _served("uvicorn", "bench.template:app", "--log-level", "warning", at=database) as port:
        yield port


@contextmanager
def _bare() -> Iterator[int]:
    """What answers without any work, served as the app is; gives its port."""
    options = ("--interface", "asginl", "--log-level", "warning")
    with _served("granian", "bench.bare:app", *options) as port:
        yield port


@contextmanager
def _served(server: str, *options: str, at: Path | None = None) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", server, "--port", str(port), *options],
        cwd=PROJECT,
        env={**os.environ, "TEMPLATE_DATABASE": str(at)},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    try:
        while not RunningApp.is_ready(f"http://localhost:{port}/"):
            started = process.poll() is None and time.monotonic() < deadline
            assert started, f"{options[0]} does not start"
            time.sleep(0.05)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _figures_over_http(ours: Found, theirs: Found) -> Iterator[Figure]:
    largest = max(size for _, size, _, _ in theirs)
    for key, values in ours.items():
        path, size, connections, what = key
        # What is to be reached is said of this size; a quick run asks at smaller ones only.
        aimed = size == _LARGEST_OF_TEMPLATE and what == "p99"
        where = path if path == _BARE else f"{path}, {told(size)} rows"
        beside = ("GET /", largest, connections, what) if path == _BARE else key
        yield Figure(
            f"{where}, {connections} connection{'s' * (connections > 1)}, {what}",
            "requests/s" if what == _RATE else "ms",
            values,
            better="more" if what == _RATE else "less",
            targets=(times_the_template(50),) if aimed else (),
            template=theirs.get(beside, ()),
            note=_NOTE,
        )
