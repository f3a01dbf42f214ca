"""Databases of a given size: five batches with rows of the last 42 minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from bench import template
from bench.app import BATCHES
from solo_app.batches.minutes import last_full_minute
from solo_app.batches.models import MICROSECOND, utc_now
from tests.helpers.history import write_long_history

_SPAN = timedelta(seconds=2_500)
"""The app caches the minutes of the last hour."""

_INSERT_TEMPLATE_ROWS = """
INSERT INTO data SELECT 'batch-' || (1 + i % $batches),
    strftime(
        $start::TIMESTAMP + to_microseconds(i * $microseconds // $rows), '%Y-%m-%dT%H:%M:%S.%f'
    ),
    '{"key": ' || floor(random() * 101)::INTEGER || '}'
FROM range($rows) numbers(i)
"""


def write_database(database: Path, rows: int) -> datetime:
    """Write a database of the app with ended batches.

    Returns the end of the last full minute with rows, in naive UTC.
    """
    end = last_full_minute(utc_now()).end
    points = rows // len(BATCHES)
    write_long_history(database, BATCHES, points, _SPAN / points, end)
    return end


def write_template_database(database: Path, rows: int, end: datetime) -> None:
    """Write the rows of the baseline, up to the end that ``write_database`` returned."""
    connection = duckdb.connect(database)
    connection.execute(template.TABLE)
    connection.execute(
        _INSERT_TEMPLATE_ROWS,
        {
            "batches": len(BATCHES),
            "start": end - _SPAN,
            "microseconds": _SPAN // MICROSECOND,
            "rows": rows,
        },
    )
    # Creating the index last is faster.
    connection.execute(template.INDEX)
    connection.close()
