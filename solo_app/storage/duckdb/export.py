"""Downloads and backups, streamed with bounded memory.

CSV and JSON are formatted by DuckDB in slices of ``SLICE_POINTS``. The next slice is queried when
the client has received the previous one. Parquet files, whose index is at the end, and backups are
first written to an unnamed temporary file.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import duckdb

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.models import Download, FileFormat, Selection
from solo_app.storage.duckdb.archive import Archive
from solo_app.storage.duckdb.errors import one_line
from solo_app.storage.duckdb.files import check_space, wal_path
from solo_app.storage.duckdb.long_queries import LongQueries, RunQuery

SLICE_POINTS = 10_000
"""Points per slice: about 0.8 MB of text, formatted in 4 ms."""

_CHUNK_BYTES = 262_144

_SELECTED = "batch_no = $batch_no AND seq > $after AND seq <= $up_to AND ts >= $start AND ts < $end"

# Unique: DuckDB names databases after their files, and no file name contains a slash.
_COPY = '"a/copy"'

_TIME = "strftime(ts, '%Y-%m-%dT%H:%M:%S.%fZ')"
# Same format as ``models.format_number``: DuckDB formats a DOUBLE like Python's repr.
NUMBER = "if(key = trunc(key) AND abs(key) < 1e15, key::BIGINT::VARCHAR, key::VARCHAR)"


@dataclass(frozen=True, slots=True)
class _TextFormat:
    """A text format: ``row`` is an SQL expression, the other fields are literal text.

    ``unit`` is the text after the value in each row.
    """

    head: str
    row: str
    unit: str
    separator: str
    tail: str


def _csv(unit: str) -> _TextFormat:
    quoted = '"' + unit.replace('"', '""') + '"' if set(unit) & set(',"') else unit
    return _TextFormat(
        "seq,ts,key,unit\n" if unit else "seq,ts,key\n",
        f"concat(seq, ',', {_TIME}, ',', {NUMBER}, $unit, chr(10))",
        f",{quoted}" if unit else "",
        "",
        "",
    )


def _json(unit: str) -> _TextFormat:
    return _TextFormat(
        "[",
        f"""concat('{{"seq":', seq, ',"ts":"', {_TIME}, '","data":{{"key":', {NUMBER}, """
        "$unit, '}}')",
        f',"unit":{json.dumps(unit, ensure_ascii=False)}' if unit else "",
        ",\n",
        "]\n",
    )


_TEXT_FORMATS: dict[FileFormat, Callable[[str], _TextFormat]] = {
    FileFormat.CSV: _csv,
    FileFormat.JSON: _json,
}
"""The text formats, as functions of the unit of the values."""

_INTO_PARQUET = "TO $path (FORMAT parquet)"

WriteFile = Callable[[duckdb.DuckDBPyConnection, Path], None]
"""Writes a file to the given path."""


class Exports:
    """Creates downloads and backups. Call all methods on the event loop."""

    def __init__(
        self, run_query: RunQuery, long_queries: LongQueries, archive: Archive, database: Path
    ) -> None:
        self._run_query = run_query
        self._long_queries = long_queries
        self._archive = archive
        self._database = database
        self._prefix = f".{database.name}.download-"
        self._is_stopped = False

    async def download(self, file_format: FileFormat, selection: Selection, unit: str) -> Download:
        """See ``Storage.download``. Raises StoreUnavailableError.

        After ``stop``, the chunks of a text download raise ServiceClosedError.
        """
        if file_format is FileFormat.PARQUET:
            return await self._file_download(partial(self._write_parquet, selection, unit))
        first, last = await self._run_query(partial(self._query_seq_range, selection))
        text_format = _TEXT_FORMATS[file_format](unit)
        return Download(self._text_chunks(text_format, selection, first, last))

    async def backup(self) -> Download:
        """Return a consistent copy of the database. Raises StoreUnavailableError."""
        return await self._file_download(self._copy_database)

    def stop(self) -> None:
        """Abort all downloads and backups in progress."""
        self._is_stopped = True
        self._long_queries.stop()

    def remove_leftovers(self) -> None:
        """Delete the temporary files of a killed process."""
        for path in self._database.parent.iterdir():
            if path.name.startswith(self._prefix):
                shutil.rmtree(path, ignore_errors=True)

    async def _text_chunks(
        self, text_format: _TextFormat, selection: Selection, first: int, last: int
    ) -> AsyncIterator[bytes]:
        yield text_format.head.encode()
        separator = ""
        for after in range(first - 1, last, SLICE_POINTS):
            if self._is_stopped:
                raise ServiceClosedError
            up_to = min(after + SLICE_POINTS, last)
            query = partial(self._query_text, text_format, selection, after, up_to)
            text = await self._run_query(query)
            if text is not None:
                yield (separator + text).encode()
                separator = text_format.separator
        yield text_format.tail.encode()

    async def _file_download(self, write: WriteFile) -> Download:
        file, size = await self._long_queries(lambda cursor: self._write_file(write, cursor))
        return Download(_chunks(file), size)

    def _write_file(
        self, write: WriteFile, cursor: duckdb.DuckDBPyConnection
    ) -> tuple[BinaryIO, int]:
        """Write an unnamed file. Returns the open file and its size."""
        try:
            # A backup must work even if the folder of the open database was deleted.
            parent = self._database.parent if self._database.parent.is_dir() else None
            with tempfile.TemporaryDirectory(
                prefix=self._prefix, dir=parent, ignore_cleanup_errors=True
            ) as folder:
                path = Path(folder) / "file"
                write(cursor, path)
                # The open file outlives its name, so a client that disconnects leaves no file.
                return path.open("rb"), path.stat().st_size
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(f"The file cannot be written: {one_line(error)}") from error

    def _query_seq_range(
        self, selection: Selection, cursor: duckdb.DuckDBPyConnection
    ) -> tuple[int, int]:
        """Return the first and last ``seq`` of the selected points; (1, 0) if there are none."""
        with self._selected(cursor, selection, 0, selection.last_seq) as (table, values):
            ((first, last),) = cursor.execute(
                f"SELECT min(seq), max(seq) FROM {table}",  # noqa: S608 (no values)
                values,
            ).fetchall()
        return (1, 0) if first is None else (first, last)

    def _query_text(
        self,
        text_format: _TextFormat,
        selection: Selection,
        after: int,
        up_to: int,
        cursor: duckdb.DuckDBPyConnection,
    ) -> str | None:
        with self._selected(cursor, selection, after, up_to) as (table, values):
            # One value instead of many rows: DuckDB formats it without the GIL.
            ((text,),) = cursor.execute(
                f"SELECT string_agg({text_format.row}, $separator ORDER BY seq) FROM {table}",  # noqa: S608 (no values)
                {**values, "separator": text_format.separator, "unit": text_format.unit},
            ).fetchall()
        return None if text is None else str(text)

    def _write_parquet(
        self, selection: Selection, unit: str, cursor: duckdb.DuckDBPyConnection, path: Path
    ) -> None:
        column, unit_value = (", $unit::VARCHAR AS unit", {"unit": unit}) if unit else ("", {})
        with self._selected(cursor, selection, 0, selection.last_seq) as (table, values):
            # DuckDB preserves the order of archive and table, where the points of a batch are
            # sorted by seq. Sorting again would load all of them into memory.
            cursor.execute(
                f"COPY (SELECT seq, ts::TIMESTAMPTZ AS ts, key{column} FROM {table}) "  # noqa: S608 (no values)
                f"{_INTO_PARQUET}",
                {**values, **unit_value, "path": str(path)},
            )

    @contextmanager
    def _selected(
        self, cursor: duckdb.DuckDBPyConnection, selection: Selection, after: int, up_to: int
    ) -> Iterator[tuple[str, dict[str, object]]]:
        """Yield a table with a filter, and the parameters of the filter."""
        start, end = selection.start, selection.end
        values = {"batch_no": selection.batch_no, "after": after, "up_to": up_to}
        with self._archive.points(cursor, selection.batch_no, after, up_to, (start, end)) as points:
            yield f"{points} WHERE {_SELECTED}", {**values, "start": start, "end": end}

    def _copy_database(self, cursor: duckdb.DuckDBPyConnection, path: Path) -> None:
        # Not the size of the file, which may have been removed while in use.
        ((source, size),) = cursor.execute(
            "SELECT database_name, block_size * used_blocks FROM pragma_database_size() "
            "WHERE database_name = current_database()"
        ).fetchall()
        wal = wal_path(self._database)
        check_space(path.parent, size + (wal.stat().st_size if wal.exists() else 0))
        file, name = str(path).replace("'", "''"), source.replace('"', '""')
        cursor.execute(f"ATTACH '{file}' AS {_COPY}")
        try:
            cursor.execute(f'COPY FROM DATABASE "{name}" TO {_COPY}')
        finally:
            with suppress(duckdb.Error):  # Do not replace the error of the copy.
                cursor.execute(f"DETACH {_COPY}")


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
