"""The archive: points that were removed from the database, in a folder of Parquet files beside it.

Every committed point is in the table ``points`` or in one file that the table ``archives``
names, never in both and never in neither: the transaction that removes points is the one that
names their file. Before it, the file is complete and on disk under a hidden name; after it,
the file gets its name and is never touched again. Whatever a killed process leaves of that is
settled when the store opens: a hidden file is named if the database knows it, else removed.

A file is named ``batch number-first seq-last seq.parquet``, so that its place is known without
opening it, and so that batches whose names differ by case alone stay apart on any disk. Its
columns are ``batch_id``, ``seq``, ``ts`` (UTC) and ``key``, in order of ``seq``.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import Span
from solo_app.storage.duckdb.check import one_line
from solo_app.storage.duckdb.counted import counted
from solo_app.storage.duckdb.disk import sync
from solo_app.storage.duckdb.room import check_room

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS archives (
    batch_no INTEGER NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL,
    file VARCHAR NOT NULL
);
"""

_BYTES_PER_POINT = 24
"""What a point takes without compression: an upper bound of what it takes in a file."""

_UNFINISHED = ".part"

_OLD = """
SELECT batch_no, min(seq), max(seq) FROM points WHERE ts < $before
GROUP BY batch_no HAVING min(ts) < $oldest_before ORDER BY batch_no
"""

_FIRST_YOUNG = """
SELECT min(seq) FROM points
WHERE batch_no = $batch_no AND seq <= $last AND ts >= $before
"""

_WRITE = """
COPY (
    SELECT (SELECT batch_id FROM batches WHERE no = $batch_no) AS batch_id, seq, ts, key
    FROM points WHERE batch_no = $batch_no AND seq >= $first AND seq <= $last
) TO $path (FORMAT parquet, PARQUET_VERSION v2)
"""

_REMOVE = "DELETE FROM points WHERE batch_no = ? AND seq >= ? AND seq <= ?"

_COUNT_OF_MINUTES = """
SELECT coalesce(sum(count), 0)::BIGINT FROM minutes
WHERE batch_no = $batch_no AND minute >= date_trunc('minute', $start::TIMESTAMP) AND minute < $end
"""

_COUNT_OF_POINTS = """
SELECT count(*) FROM {points}
WHERE batch_no = $batch_no AND seq <= $counted
AND ts >= date_trunc('minute', $start::TIMESTAMP) AND date_trunc('minute', ts) < $end
"""

_LAST_SEQ = 2**63 - 1

_FILES = """
SELECT file FROM archives WHERE batch_no = ? AND last_seq > ? AND first_seq <= ? ORDER BY first_seq
"""

Times = tuple[datetime, datetime]
"""The points with ``first <= ts < second``."""

Transaction = Callable[[], AbstractContextManager["duckdb.DuckDBPyConnection"]]


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file that holds ``points`` points of a span, by its name in the archive."""

    span: Span
    name: str
    points: int


def old_spans(
    cursor: duckdb.DuckDBPyConnection, before: datetime, oldest_before: datetime
) -> list[Span]:
    """The first points of each batch that were produced before ``before`` (naive UTC).

    Only of batches that have a point from before ``oldest_before``. A span ends at the first
    point that is younger, so that what stays in the database has no gaps, and at the last one
    that the minutes count: they are made of the points in the database.
    """
    spans = []
    folded = counted(cursor)
    old = cursor.execute(_OLD, {"before": before, "oldest_before": oldest_before}).fetchall()
    for batch_no, first, last in old:
        values = {"batch_no": batch_no, "last": last, "before": before}
        ((young,),) = cursor.execute(_FIRST_YOUNG, values).fetchall()
        last = min(last if young is None else young - 1, folded.get(batch_no, 0))
        if first <= last:
            spans.append(Span(batch_no, first, last))
    return spans


class Archive:
    """The folder of one database. All methods belong on the store's threads."""

    def __init__(self, database: Path) -> None:
        self.folder = database.with_name(f"{database.name}.archive")
        # Held from the commit that names a file until the file has its name, and by those who
        # look for it.
        self._handover = threading.Lock()

    def write(self, cursor: duckdb.DuckDBPyConnection, span: Span) -> ArchiveFile:
        """Put a copy of committed points on disk, under a hidden name.

        Raises StoreUnavailableError; then nothing of it is left.
        """
        import duckdb

        try:
            self._make_folder()
            check_room(self.folder, (span.last_seq - span.first_seq + 1) * _BYTES_PER_POINT)
            name = self._free_name(span)
            hidden = self._hidden(name)
            try:
                return ArchiveFile(span, name, _write(cursor, span, hidden))
            except BaseException:
                hidden.unlink(missing_ok=True)
                raise
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(
                f"the archive {self.folder} does not take them: {one_line(error)}"
            ) from error

    def take_over(self, transaction: Transaction, file: ArchiveFile) -> None:
        """Remove the points of a file from the database, and name the file, all or nothing.

        Raises StoreUnavailableError when they are not those that the file holds; what DuckDB
        raises goes through, and ``settle`` finds out what became of it.
        """
        span = file.span
        with self._handover:
            with transaction() as cursor:
                ((removed,),) = cursor.execute(
                    _REMOVE, [span.batch_no, span.first_seq, span.last_seq]
                ).fetchall()
                if removed != file.points:
                    raise StoreUnavailableError(
                        f"the archived copy has {file.points} points and the database {removed}"
                    )
                cursor.execute(
                    "INSERT INTO archives VALUES (?, ?, ?, ?)",
                    [span.batch_no, span.first_seq, span.last_seq, file.name],
                )
            self._hidden(file.name).rename(self.folder / file.name)
            sync(self.folder)

    def settle(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Bring to an end what was broken off."""
        with self._handover:
            try:
                left = list(self.folder.glob(f".*{_UNFINISHED}"))
                known = _known(cursor) if left else []
                for hidden in left:
                    name = hidden.name[1 : -len(_UNFINISHED)]
                    if name in known:
                        hidden.rename(self.folder / name)
                    else:
                        hidden.unlink()
            except OSError as error:
                logger.error("The archive %s cannot be settled: %s", self.folder, error)

    def look_over(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Log which files are missing, and which are there that the database does not know."""
        known = _known(cursor)
        there = {path.name for path in self.folder.glob("*.parquet")}
        if missing := [name for name in known if name not in there]:
            logger.error("%s", self._missing(missing[0], len(missing)))
        if unknown := sorted(there.difference(known)):
            logger.warning(
                "The archive %s has files that this database does not know, and which are not "
                "read: %d, the first of them %s.",
                *(self.folder, len(unknown), unknown[0]),
            )

    @contextmanager
    def points(
        self,
        cursor: duckdb.DuckDBPyConnection,
        batch_no: int,
        after: int,
        up_to: int,
        times: Times | None = None,
    ) -> Iterator[str]:
        """What stands for the table ``points`` in the queries of the block, as SQL.

        It has the points of the batch with ``after < seq <= up_to`` (and may have others), the
        archived ones included, in order of ``seq``; of ``times`` alone when they are given. The
        cursor must be of no other use. Raises StoreUnavailableError when a file is missing that
        holds one of them, or damaged.
        """
        import duckdb

        with self._handover:
            # What is named here and what the table has are of the same moment.
            cursor.execute("BEGIN")
            files, missing = self._files(cursor, batch_no, after, up_to)
        if not (files or missing):
            yield "points"
            return
        try:
            if missing and not (times and self._has_all(cursor, batch_no, times)):
                raise StoreUnavailableError(self._missing(missing[0], len(missing)))
            yield _rows(batch_no, files)
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            raise StoreUnavailableError(
                f"The archive {self.folder} cannot be read: {one_line(error)}"
            ) from error

    def _files(
        self, cursor: duckdb.DuckDBPyConnection, batch_no: int, after: int, up_to: int
    ) -> tuple[list[Path], list[str]]:
        """The files of points of a batch, and the names of those that are missing."""
        rows = cursor.execute(_FILES, [batch_no, after, up_to]).fetchall()
        found = {name: self._path(name) for (name,) in rows}
        return [p for p in found.values() if p], [name for name, p in found.items() if not p]

    def _path(self, name: str) -> Path | None:
        paths = (self.folder / name, self._hidden(name))
        return next((path for path in paths if path.exists()), None)

    def _has_all(self, cursor: duckdb.DuckDBPyConnection, batch_no: int, times: Times) -> bool:
        """Whether no missing file holds a point of these times.

        The minutes know how many there are, whatever the clock did; no point is archived that
        they do not count.
        """
        files, _ = self._files(cursor, batch_no, 0, _LAST_SEQ)
        start, end = times
        asked = {"batch_no": batch_no, "start": start, "end": end}
        ((count,),) = cursor.execute(_COUNT_OF_MINUTES, asked).fetchall()
        asked["counted"] = counted(cursor).get(batch_no, 0)
        query = _COUNT_OF_POINTS.format(points=_rows(batch_no, files))
        ((held,),) = cursor.execute(query, asked).fetchall()
        return bool(held == count)

    def _missing(self, name: str, files: int = 1) -> str:
        more = f" (and {files - 1} more)" if files > 1 else ""
        return (
            f"The archived points of {name}{more} are missing: put the file back into "
            f"{self.folder}. Nothing else is the worse for it."
        )

    def _hidden(self, name: str) -> Path:
        return self.folder / f".{name}{_UNFINISHED}"

    def _free_name(self, span: Span) -> str:
        """A name that no file has: one may be there of a database that was put aside."""
        stem = f"{span.batch_no:06d}-{span.first_seq:012d}-{span.last_seq:012d}"
        names = (f"{stem}{f'.{n}' if n else ''}.parquet" for n in count())
        return next(name for name in names if not (self.folder / name).exists())

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir()
            sync(self.folder.parent)


def _known(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    rows = cursor.execute("SELECT file FROM archives ORDER BY batch_no, first_seq").fetchall()
    return [name for (name,) in rows]


def _write(cursor: duckdb.DuckDBPyConnection, span: Span, path: Path) -> int:
    """Write a file, and see that it can be read; gives how many points it holds."""
    cursor.execute(
        _WRITE,
        {
            "batch_no": span.batch_no,
            "first": span.first_seq,
            "last": span.last_seq,
            "path": str(path),
        },
    )
    sync(path)
    sync(path.parent)
    ((points,),) = cursor.execute(
        f"SELECT count(key) FROM {_parquet([path])} WHERE seq >= ? AND seq <= ?",  # noqa: S608 (a quoted path)
        [span.first_seq, span.last_seq],
    ).fetchall()
    return int(points)


def _rows(batch_no: int, files: list[Path]) -> str:
    """What stands for the rows of these files and the table ``points`` in SQL."""
    if not files:
        return "points"
    return (
        f"(SELECT {batch_no:d} AS batch_no, seq, ts, key FROM {_parquet(files)}"  # noqa: S608 (a number and quoted paths)
        " UNION ALL SELECT batch_no, seq, ts, key FROM points)"
    )


def _parquet(files: list[Path]) -> str:
    """What stands for the rows of files in SQL."""
    # Each of these characters stands for itself, and not for files of other databases.
    literal = (re.sub(r"[*?\[]", r"[\g<0>]", str(file)) for file in files)
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in literal)
    # Otherwise a folder whose name has an equals sign would be taken for a column.
    return f"read_parquet([{quoted}], hive_partitioning = false)"
