"""Points, or the whole database, on their way out of the store as files, never all in memory.

Text goes out by the slice: DuckDB words some thousand points at a time, and the next slice is
asked for when the reader has taken this one, so that a slow reader holds nothing but its place.
Parquet has its directory at its end and is written whole, into a file that nobody else sees;
so is a backup, which is a database as it was at one moment, whatever is written meanwhile.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.model import Download, FileFormat, Selection
from solo_app.storage.duckdb.archive import Archive
from solo_app.storage.duckdb.check import one_line
from solo_app.storage.duckdb.long_reads import LongReads, Read
from solo_app.storage.duckdb.room import check_room

if TYPE_CHECKING:
    import duckdb

SLICE_POINTS = 10_000
"""Points worded at a time: some 0.8 MB of text, made in about 4 ms."""

_PIECE_BYTES = 262_144

_CHOSEN = "batch_no = $batch_no AND seq > $after AND seq <= $up_to AND ts >= $start AND ts < $end"

# No file's name has a slash, and so no database that is open has this one.
_COPY = '"a/copy"'

_TIME = "strftime(ts, '%Y-%m-%dT%H:%M:%S.%fZ')"
# Whole numbers without a fraction, as everywhere in the API.
_NUMBER = "if(key = trunc(key) AND abs(key) < 1e15, key::BIGINT::VARCHAR, key::VARCHAR)"


@dataclass(frozen=True, slots=True)
class _Wording:
    """How points become text: ``row`` is SQL, the others stand before, between and after."""

    head: str
    row: str
    between: str
    tail: str


_WORDINGS = {
    FileFormat.CSV: _Wording(
        "seq,ts,key\n", f"concat(seq, ',', {_TIME}, ',', {_NUMBER}, chr(10))", "", ""
    ),
    FileFormat.JSON: _Wording(
        "[",
        f"""concat('{{"seq":', seq, ',"ts":"', {_TIME}, '","data":{{"key":', {_NUMBER}, '}}}}')""",
        ",\n",
        "]\n",
    ),
}

_INTO_PARQUET = "TO $path (FORMAT parquet)"

Fill = Callable[["duckdb.DuckDBPyConnection", Path], None]
"""Writes the file of that path."""


class Exports:
    """Makes the files. All methods belong on the event loop."""

    def __init__(self, read: Read, long_reads: LongReads, archive: Archive, database: Path) -> None:
        self._read = read
        self._long_reads = long_reads
        self._archive = archive
        self._database = database
        self._temporary = f".{database.name}.download-"
        self._stopped = False

    async def download(self, file_format: FileFormat, chosen: Selection) -> Download:
        """The chosen points in order of seq. Raises StoreUnavailableError.

        A text that ``stop`` breaks off raises ServiceClosedError in the middle.
        """
        if file_format is FileFormat.PARQUET:
            return await self._whole_file(self._parquet_of(chosen))
        first, last = await self._read(self._ends_of(chosen))
        return Download(self._text(_WORDINGS[file_format], chosen, first, last))

    async def backup(self) -> Download:
        """The database as it is now, as a database. Raises StoreUnavailableError."""
        return await self._whole_file(self._copy_of_database)

    def stop(self) -> None:
        """Break off whatever is on its way."""
        self._stopped = True
        self._long_reads.stop()

    def remove_leftovers(self) -> None:
        """Remove what a killed process was writing."""
        for path in self._database.parent.iterdir():
            if path.name.startswith(self._temporary):
                shutil.rmtree(path, ignore_errors=True)

    async def _text(
        self, wording: _Wording, chosen: Selection, first: int, last: int
    ) -> AsyncIterator[bytes]:
        yield wording.head.encode()
        between = ""
        for after in range(first - 1, last, SLICE_POINTS):
            if self._stopped:
                raise ServiceClosedError
            up_to = min(after + SLICE_POINTS, last)
            text = await self._read(self._slice_of(chosen, wording, after, up_to))
            if text is not None:
                yield (between + text).encode()
                between = wording.between
        yield wording.tail.encode()

    async def _whole_file(self, fill: Fill) -> Download:
        file, size = await self._long_reads(lambda cursor: self._filled(cursor, fill))
        return Download(_pieces(file), size)

    def _filled(self, cursor: duckdb.DuckDBPyConnection, fill: Fill) -> tuple[BinaryIO, int]:
        import duckdb

        try:
            with tempfile.TemporaryDirectory(
                prefix=self._temporary, dir=self._database.parent, ignore_cleanup_errors=True
            ) as folder:
                path = Path(folder) / "file"
                fill(cursor, path)
                # Open, it outlives its name: whoever goes away, nothing is left to be removed.
                return path.open("rb"), path.stat().st_size
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(f"The file was not made: {one_line(error)}") from error

    def _ends_of(self, chosen: Selection) -> Callable[[duckdb.DuckDBPyConnection], tuple[int, int]]:
        """The first and the last seq of the chosen points; the last before the first without."""

        def query(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int]:
            with self._points(cursor, chosen, 0, chosen.last_seq) as points:
                ((first, last),) = cursor.execute(
                    f"SELECT min(seq), max(seq) FROM {points} WHERE {_CHOSEN}",  # noqa: S608 (no values)
                    _named(chosen, 0, chosen.last_seq),
                ).fetchall()
            return (1, 0) if first is None else (first, last)

        return query

    def _slice_of(
        self, chosen: Selection, wording: _Wording, after: int, up_to: int
    ) -> Callable[[duckdb.DuckDBPyConnection], str | None]:
        values = {**_named(chosen, after, up_to), "between": wording.between}

        def query(cursor: duckdb.DuckDBPyConnection) -> str | None:
            with self._points(cursor, chosen, after, up_to) as points:
                # One value instead of many rows: the interpreter is free while DuckDB words them.
                ((text,),) = cursor.execute(
                    f"SELECT string_agg({wording.row}, $between ORDER BY seq)"  # noqa: S608 (no values)
                    f" FROM {points} WHERE {_CHOSEN}",
                    values,
                ).fetchall()
            return str(text) if text is not None else None

        return query

    def _parquet_of(self, chosen: Selection) -> Fill:
        def fill(cursor: duckdb.DuckDBPyConnection, path: Path) -> None:
            with self._points(cursor, chosen, 0, chosen.last_seq) as points:
                # The points of a batch lie in the archive and in the table in the order of their
                # seq, and DuckDB keeps it: sorting them again would hold them all in memory.
                cursor.execute(
                    f"COPY (SELECT seq, ts, key FROM {points} WHERE {_CHOSEN}) {_INTO_PARQUET}",  # noqa: S608 (no values)
                    {**_named(chosen, 0, chosen.last_seq), "path": str(path)},
                )

        return fill

    def _points(
        self, cursor: duckdb.DuckDBPyConnection, chosen: Selection, after: int, up_to: int
    ) -> AbstractContextManager[str]:
        times = chosen.start, chosen.end
        return self._archive.points(cursor, chosen.batch_no, after, up_to, times)

    def _copy_of_database(self, cursor: duckdb.DuckDBPyConnection, path: Path) -> None:
        import duckdb

        log = self._database.with_name(f"{self._database.name}.wal")
        check_room(path.parent, sum(f.stat().st_size for f in (self._database, log) if f.exists()))
        ((source,),) = cursor.execute("SELECT current_database()").fetchall()
        file, name = str(path).replace("'", "''"), source.replace('"', '""')
        cursor.execute(f"ATTACH '{file}' AS {_COPY}")
        try:
            cursor.execute(f'COPY FROM DATABASE "{name}" TO {_COPY}')
        finally:
            with suppress(duckdb.Error):  # What has failed already is told.
                cursor.execute(f"DETACH {_COPY}")


def _named(chosen: Selection, after: int, up_to: int) -> dict[str, object]:
    return {
        "batch_no": chosen.batch_no,
        "after": after,
        "up_to": up_to,
        "start": chosen.start,
        "end": chosen.end,
    }


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
