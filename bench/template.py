"""The baseline: the template's design as a FastAPI program with the compared routes.

One connection, text columns with JSON, an index on ``batch_id``, a synchronous ``INSERT`` per row
on the event loop, a query per request, and a stream that sends a counter. Unlike in the template,
``id`` is the time of the row and not of the task, because ``/agg`` needs it. The variable
``TEMPLATE_DATABASE`` contains the path of the database.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import duckdb
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from solo_app.batches.models import utc_now

INTERVAL = 0.25
"""Seconds between two rows of a batch, and between two events of a stream."""

TABLE = "CREATE TABLE IF NOT EXISTS data (batch_id TEXT, id TEXT, data TEXT)"
INDEX = "CREATE INDEX IF NOT EXISTS data_batch_id ON data (batch_id)"

_AGGREGATE = """
SELECT avg((data->>'key')::DOUBLE), coalesce(sum((data->>'key')::DOUBLE), 0), count(*)
FROM data WHERE batch_id = ? AND id >= ? AND id < ?
"""

connection: duckdb.DuckDBPyConnection
tasks: dict[str, asyncio.Task[None]] = {}


def connect(database: Path) -> duckdb.DuckDBPyConnection:
    """Open a database with the table and its index."""
    opened = duckdb.connect(database)
    opened.execute(TABLE)
    opened.execute(INDEX)
    return opened


def insert(to: duckdb.DuckDBPyConnection, batch_id: str) -> None:
    """Insert one row in its own transaction."""
    row = (batch_id, utc_now().isoformat(), json.dumps({"key": random.randint(0, 100)}))
    to.execute("INSERT INTO data VALUES (?, ?, ?)", row)


async def _produce(batch_id: str) -> None:
    while True:
        insert(connection, batch_id)
        await asyncio.sleep(INTERVAL)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    global connection
    connection = connect(Path(os.environ["TEMPLATE_DATABASE"]))
    yield


app = FastAPI(lifespan=_lifespan)


@app.get("/")
async def totals() -> dict[str, int]:
    ((rows,),) = connection.execute("SELECT count(*) FROM data").fetchall()
    return {"row_count": rows, "task_count": len(tasks)}


@app.post("/stream/{batch_id}")
async def start(batch_id: str) -> dict[str, str]:
    tasks[batch_id] = asyncio.create_task(_produce(batch_id))
    return {"message": "Batch started", "batch_id": batch_id}


@app.get("/stream/{batch_id}")
async def stream(batch_id: str) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        for number in count(1):
            ts = utc_now().isoformat()
            yield f'data: {{"seq": {number}, "ts": "{ts}Z", "batch_id": "{batch_id}"}}\n\n'
            await asyncio.sleep(INTERVAL)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/agg/{batch_id}")
async def aggregate(batch_id: str, at: datetime) -> dict[str, float | str | None]:
    end = at.replace(tzinfo=None, second=0, microsecond=0)
    window = [(end - timedelta(minutes=1)).isoformat(), end.isoformat()]
    ((average, total, rows),) = connection.execute(_AGGREGATE, [batch_id, *window]).fetchall()
    return {"batch_id": batch_id, "average": average, "sum": total, "count": rows}
