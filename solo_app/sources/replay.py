"""The source ``replay``: a column of a CSV or Parquet file.

The file is checked at startup and when a run starts: other programs may write it in between.
"""

from __future__ import annotations

import asyncio
import glob
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from solo_app.batches.errors import SourceError
from solo_app.batches.models import RestartPolicy
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.declared import DeclaredFile

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")

_CONFIG: dict[str, Any] = {
    "threads": 1,
    "memory_limit": "256MB",
    "temp_directory": "",  # Do not write files.
    "autoinstall_known_extensions": False,
    "TimeZone": "UTC",  # For times without an offset.
}

_CSV_OPTIONS = """
    header = true, skip = 0, comment = '', all_varchar = true, hive_partitioning = false,
    ignore_errors = true, store_rejects = true, rejects_limit = 100
"""

_ROWS_PER_FETCH = 8192
"""Creating the Python objects for more rows would block the event loop for milliseconds."""


class ReplayParameters(Parameters):
    column: str = Field(min_length=1, description="Column with the numbers")
    time_column: str | None = Field(None, min_length=1, description="Column of times for the pace")
    path: DeclaredFile  # Validated after the columns.
    speed: float = Field(1, ge=0, le=1e6, description="2 = twice as fast, 0 = as fast as possible")

    @field_validator("path")
    @classmethod
    def _check_file(cls, path: Path, info: ValidationInfo) -> Path:
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise ValueError("Must end with .csv or .parquet")
        if "column" in info.data and info.context and info.context["is_startup_check"]:
            try:
                asyncio.run(_check_columns(cls.model_construct(**info.data, path=path)))
            except SourceError as error:
                raise ValueError(str(error)) from None
        return path


async def _check_columns(parameters: ReplayParameters) -> None:
    async with _connect() as connection:
        await _run(_open, connection, parameters)


async def _numbers(parameters: ReplayParameters, run: RunContext) -> AsyncIterator[Numbers]:
    row_count = 0
    async with _connect() as connection:
        await _run(_open, connection, parameters)
        pace = _Pace(parameters.speed)
        while len(rows := await _run(_fetch, connection)):
            is_number = np.isfinite(rows[:, 0])
            skipped = row_count + 1 + np.flatnonzero(~is_number)
            run.log("\n".join(f"Row {row} skipped: not a number." for row in skipped))
            row_count += len(rows)
            keys, times = rows[is_number].T
            due = pace.due_times(times)
            while len(keys):
                count = await pace.wait(due)
                yield keys[:count]
                due, keys = due[count:], keys[count:]
        for line in await _run(_malformed_lines, connection):
            run.log(f"Line {line} skipped: not well-formed.")
    if not row_count:
        raise SourceError("File has no rows")


class _Pace:
    """Waits until rows are due. Due times are in seconds since the first row."""

    def __init__(self, speed: float) -> None:
        self._speed = speed or np.inf
        self._start = asyncio.get_running_loop().time()
        self._last_due = 0.0
        self._last_time = np.nan

    def due_times(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return when the next rows are due. ``times`` are their times in the file."""
        is_known = np.isfinite(times)
        known = np.append(self._last_time, times[is_known])
        gaps = np.zeros(len(times))
        gaps[is_known] = np.fmax(np.diff(known) / self._speed, 0)  # 0 instead of NaN.
        due = np.cumsum(np.append(self._last_due, gaps))
        self._last_time, self._last_due = known[-1], due[-1]
        return due[1:]

    async def wait(self, due: NDArray[np.float64]) -> int:
        """Wait until the first of the rows is due, and return the number of rows that are due."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._start + due[0] - clock())
        self._start = max(self._start, clock() - due[0] - 1)  # Catch up on 1 s at most.
        return max(1, int(np.searchsorted(due, clock() - self._start, side="right")))


@asynccontextmanager
async def _connect() -> AsyncIterator[DuckDBPyConnection]:
    """Open a separate in-memory database. Opening and closing take more than 10 ms each."""
    import duckdb

    connection = await asyncio.to_thread(duckdb.connect, ":memory:", config=_CONFIG)
    try:
        yield connection
    finally:
        await asyncio.to_thread(connection.close)


async def _run(function: Callable[..., T], connection: DuckDBPyConnection, *arguments: object) -> T:
    """Run queries in a thread. Raises SourceError without the text of DuckDB, which contains the
    path and parts of the file. A cancellation interrupts the query and waits for its end."""
    import duckdb

    future = asyncio.get_running_loop().run_in_executor(None, function, connection, *arguments)
    try:
        await asyncio.wait([future])
    finally:
        while not future.done():
            connection.interrupt()  # Repeatedly: a query that is starting misses it.
            await asyncio.wait([future], timeout=0.01)
        future.exception()  # Marks the error as retrieved.
    try:
        return future.result()
    except duckdb.OutOfMemoryException:
        raise SourceError("Reading the file requires more than 256 MB") from None
    except (duckdb.Error, OSError):
        raise SourceError("File is damaged or cannot be read") from None


def _open(connection: DuckDBPyConnection, parameters: ReplayParameters) -> None:
    """Start the query for numbers and times. DuckDB reads the file as rows are fetched."""
    path = parameters.path
    if not path.is_file():
        raise SourceError("File not found")
    table, values = _table(path), [glob.escape(str(path))]
    connection.execute(f"SELECT * FROM {table} LIMIT 0", values)  # noqa: S608 (a constant)
    columns = [column for column, *_ in connection.description or ()]
    if parameters.column not in columns:
        raise SourceError("`column` is not in the file")
    time = "row_number() OVER ()"
    if parameters.time_column is not None:
        if parameters.time_column not in columns:
            raise SourceError("`time_column` is not in the file")
        text = _text(parameters.time_column)
        time = f"coalesce(TRY_CAST({text} AS DOUBLE), epoch(TRY_CAST({text} AS TIMESTAMPTZ)))"
    key = f"TRY_CAST({_text(parameters.column)} AS DOUBLE)"
    connection.execute(f"SELECT {key}, {time} FROM {table}", values)  # noqa: S608 (quoted)


def _table(path: Path) -> str:
    """Return the table function that reads a file; its parameter is the path."""
    if path.suffix.lower() == ".parquet":
        return "read_parquet(?, hive_partitioning = false)"
    return f"read_csv(?, {_CSV_OPTIONS})"


def _text(column: str) -> str:
    """Return a column as text: casts of other types would raise, or accept booleans."""
    quoted = column.replace('"', '""')
    return f'CAST("{quoted}" AS VARCHAR)'


def _fetch(connection: DuckDBPyConnection) -> NDArray[np.float64]:
    """Return the next rows, NaN where there is no number or time; none at the end of the file."""
    return np.array(connection.fetchmany(_ROWS_PER_FETCH), dtype=np.float64).reshape(-1, 2)


def _malformed_lines(connection: DuckDBPyConnection) -> list[int]:
    """Return the line numbers of skipped CSV lines, up to 100."""
    import duckdb

    try:
        connection.execute("SELECT DISTINCT line FROM reject_errors ORDER BY line")
    except duckdb.CatalogException:  # A Parquet file.
        return []
    return [line for (line,) in connection.fetchall()]


REPLAY = SourceKind(
    "replay",
    "A column of a CSV or Parquet file.",
    ReplayParameters,
    _numbers,
    RestartPolicy.NEVER,
    is_declared_only=True,
)
