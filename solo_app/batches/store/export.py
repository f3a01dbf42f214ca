"""Points on their way out of the store as files, never all of them in memory.

Text goes out by the slice: DuckDB words some thousand points at a time, and the next slice is
asked for when the reader has taken this one, so that a slow reader holds nothing but its place.
Parquet has its directory at its end and is written whole, into a file that nobody else sees.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.model import Download, FileFormat, Selection
from solo_app.batches.store.check import one_line

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

SLICE_POINTS = 10_000
"""Points worded at a time: some 0.8 MB of text, made in about 4 ms."""

_PIECE_BYTES = 262_144

_CHOSEN = "batch_no = $batch_no AND seq > $after AND seq <= $up_to AND ts >= $start AND ts < $end"

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

# The points of a batch lie in the table in the order of their seq, and DuckDB keeps the order of
# insertion: sorting them again would hold them all in memory.
_WRITE_PARQUET = f"""
COPY (SELECT seq, ts, key FROM points WHERE {_CHOSEN}) TO $path (FORMAT parquet)
"""  # noqa: S608 (the part is a constant)


class Read(Protocol):
    """Runs a query on a reader thread, on a cursor of its own."""

    def __call__(self, query: Callable[[duckdb.DuckDBPyConnection], T], /) -> Awaitable[T]: ...  # noqa: D102


class Exports:
    """Makes the files. All methods belong on the event loop."""

    def __init__(self, read: Read, database: Path) -> None:
        self._read = read
        self._database = database
        self._temporary = f".{database.name}.download-"
        self._one_at_a_time = asyncio.Lock()
        self._writing: duckdb.DuckDBPyConnection | None = None
        self._stopped = False

    async def download(self, file_format: FileFormat, chosen: Selection) -> Download:
        """The chosen points in order of seq. Raises StoreUnavailableError.

        A text that ``stop`` breaks off raises ServiceClosedError in the middle.
        """
        if file_format is FileFormat.PARQUET:
            return await self._parquet(chosen)
        first, last = await self._read(lambda cursor: _ends(cursor, chosen))
        return Download(self._text(_WORDINGS[file_format], chosen, first, last))

    def stop(self) -> None:
        """Break off whatever is on its way."""
        self._stopped = True
        if self._writing:
            self._writing.interrupt()

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
            text = await self._read(_slice(wording, _named(chosen, after, up_to)))
            if text is not None:
                yield (between + text).encode()
                between = wording.between
        yield wording.tail.encode()

    async def _parquet(self, chosen: Selection) -> Download:
        # The other reader thread stays free for the pages.
        async with self._one_at_a_time:
            file, size = await self._read(lambda cursor: self._write_parquet(cursor, chosen))
        return Download(_pieces(file), size)

    def _write_parquet(
        self, cursor: duckdb.DuckDBPyConnection, chosen: Selection
    ) -> tuple[BinaryIO, int]:
        import duckdb

        try:
            with tempfile.TemporaryDirectory(
                prefix=self._temporary, dir=self._database.parent, ignore_cleanup_errors=True
            ) as folder:
                path = Path(folder) / "points.parquet"
                self._writing = cursor
                cursor.execute(
                    _WRITE_PARQUET, {**_named(chosen, 0, chosen.last_seq), "path": str(path)}
                )
                # Open, it outlives its name: whoever goes away, nothing is left to be removed.
                return path.open("rb"), path.stat().st_size
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(f"The file was not made: {one_line(error)}") from error
        finally:
            self._writing = None


def _ends(cursor: duckdb.DuckDBPyConnection, chosen: Selection) -> tuple[int, int]:
    """The first and the last seq of the chosen points; the last before the first without any."""
    ((first, last),) = cursor.execute(
        f"SELECT min(seq), max(seq) FROM points WHERE {_CHOSEN}",  # noqa: S608 (a constant)
        _named(chosen, 0, chosen.last_seq),
    ).fetchall()
    return (1, 0) if first is None else (first, last)


def _slice(
    wording: _Wording, values: dict[str, object]
) -> Callable[[duckdb.DuckDBPyConnection], str | None]:
    def query(cursor: duckdb.DuckDBPyConnection) -> str | None:
        # One value instead of many rows: the interpreter is free while DuckDB words them.
        ((text,),) = cursor.execute(
            f"SELECT string_agg({wording.row}, $between ORDER BY seq)"  # noqa: S608 (constants)
            f" FROM points WHERE {_CHOSEN}",
            {**values, "between": wording.between},
        ).fetchall()
        return str(text) if text is not None else None

    return query


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
