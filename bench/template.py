"""The template's way, in words of its own: what the benchmarks compare with.

A FastAPI program with one connection for all, text columns with JSON in them, an index on
``batch_id``, one synchronous ``INSERT`` per row on the event loop, and every answer a query.
``id`` holds a time per row where the template has the start of the task: without one it could
not tell the last minute at all. ``TEMPLATE_DATABASE`` names the file; served by uvicorn.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
from fastapi import FastAPI

from solo_app.batches.models import utc_now

PAUSE = 0.25
"""Seconds between two rows of a batch."""

TABLE = "CREATE TABLE IF NOT EXISTS data (batch_id TEXT, id TEXT, data TEXT)"
INDEX = "CREATE INDEX IF NOT EXISTS data_of_batch ON data (batch_id)"

_AGGREGATE = """
SELECT avg((data->>'key')::DOUBLE), coalesce(sum((data->>'key')::DOUBLE), 0), count(*)
FROM data WHERE batch_id = ? AND id >= ? AND id < ?
"""

connection: duckdb.DuckDBPyConnection
tasks: dict[str, asyncio.Task[None]] = {}


def connect(database: Path) -> duckdb.DuckDBPyConnection:
    """Open the one connection, with the table and its index."""
    opened = duckdb.connect(database)
    opened.execute(TABLE)
    opened.execute(INDEX)
    return opened


async def produce(to: duckdb.DuckDBPyConnection, batch_id: str, pause: float) -> None:
    """The task of a batch: a row, a pause, for ever."""
    while True:
        insert(to, batch_id)
        await asyncio.sleep(pause)


def insert(to: duckdb.DuckDBPyConnection, batch_id: str) -> None:
    """One row, committed by itself."""
    row = (batch_id, utc_now().isoformat(), json.dumps({"key": random.randint(0, 100)}))
    to.execute("INSERT INTO data VALUES (?, ?, ?)", row)


@asynccontextmanager
async def _open(_: FastAPI) -> AsyncIterator[None]:
    global connection
    connection = connect(Path(os.environ["TEMPLATE_DATABASE"]))
    yield
    connection.close()


app = FastAPI(lifespan=_open)


@app.get("/")
async def overall() -> dict[str, int]:
    """Rows and tasks."""
    ((rows,),) = connection.execute("SELECT count(*) FROM data").fetchall()
    return {"row_count": rows, "task_count": len(tasks)}


@app.post("/stream/{batch_id}")
async def start(batch_id: str) -> dict[str, str]:
    """Start a task."""
    tasks[batch_id] = asyncio.create_task(produce(connection, batch_id, PAUSE))
    return {"message": "Batch started", "batch_id": batch_id}


@app.get("/agg/{batch_id}")
async def aggregate(batch_id: str, at: datetime | None = None) -> dict[str, float | str | None]:
    """Average, sum and count of the last whole minute."""
    now = at.replace(tzinfo=None) if at else utc_now()
    end = now.replace(second=0, microsecond=0)
    window = [(end - timedelta(minutes=1)).isoformat(), end.isoformat()]
    ((average, total, count),) = connection.execute(_AGGREGATE, [batch_id, *window]).fetchall()
    return {"batch_id": batch_id, "average": average, "sum": total, "count": count}
