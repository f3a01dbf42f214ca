"""The archive: points moved from the database to Parquet files in a folder next to it.

Every committed point is either in the table ``points`` or in one file listed in the table
``archives``: one transaction deletes the points and lists their file. Before it, the file is
written under a hidden name and flushed to disk. After it, the file is renamed and never changes
again. ``recover`` completes or undoes an interrupted move.

Files are named ``batch number-first seq-last seq.parquet``: the range is known without opening the
file, and batch ids that differ only in case do not collide on case-insensitive file systems. The
columns are ``batch_id``, ``seq``, ``ts`` and ``key``, sorted by ``seq``. ``ts`` is a timestamp
with time zone; files of earlier versions have UTC timestamps without one. DuckDB reads both as
UTC, even in one query, because the time zone of the session is UTC (``connection``).
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import duckdb

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import MAX_SEQ, Span
from solo_app.storage.duckdb.errors import one_line
from solo_app.storage.duckdb.files import check_space, sync
from solo_app.storage.duckdb.minutes import counters

logger = logging.getLogger(__name__)

_BYTES_PER_POINT = 24
"""Uncompressed size of a point: an upper bound on its size in a file."""

_HIDDEN_SUFFIX = ".part"

_ARCHIVABLE = """
SELECT batch_no, min(seq), max(seq) FROM points WHERE ts < $before
GROUP BY batch_no HAVING min(ts) < $oldest_before ORDER BY batch_no
"""

_FIRST_NEWER = """
SELECT min(seq) FROM points
WHERE batch_no = $batch_no AND seq <= $last AND ts >= $before
"""

_WRITE = """
COPY (
    SELECT (SELECT batch_id FROM batches WHERE no = $batch_no) AS batch_id, seq,
        ts::TIMESTAMPTZ AS ts, key
    FROM points WHERE batch_no = $batch_no AND seq >= $first AND seq <= $last
) TO $path (FORMAT parquet, PARQUET_VERSION v2)
"""

_DELETE = "DELETE FROM points WHERE batch_no = ? AND seq >= ? AND seq <= ?"

_EXPECTED_COUNT = """
SELECT coalesce(sum(count), 0)::BIGINT FROM minutes
WHERE batch_no = $batch_no AND minute >= date_trunc('minute', $start::TIMESTAMP) AND minute < $end
"""

_FOUND_COUNT = """
SELECT count(*) FROM {points}
WHERE batch_no = $batch_no
AND seq <= (SELECT max(last_seq) FROM counters WHERE batch_no = $batch_no)
AND ts >= date_trunc('minute', $start::TIMESTAMP) AND date_trunc('minute', ts) < $end
"""

_FILES = """
SELECT file FROM archives WHERE batch_no = ? AND last_seq > ? AND first_seq <= ? ORDER BY first_seq
"""

TimeRange = tuple[datetime, datetime]
"""``start <= ts < end``."""

Transaction = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file in the archive. ``points`` is the number of points in it."""

    span: Span
    name: str
    points: int


def archivable_spans(
    cursor: duckdb.DuckDBPyConnection, before: datetime, oldest_before: datetime
) -> list[Span]:
    """See ``Storage.archivable_spans``.

    The points that remain in the database are consecutive, and include all points that the minutes
    do not include yet, because minutes are computed from points in the database.
    """
    spans = []
    included = counters(cursor)
    rows = cursor.execute(
        _ARCHIVABLE, {"before": before, "oldest_before": oldest_before}
    ).fetchall()
    for batch_no, first, last in rows:
        values = {"batch_no": batch_no, "last": last, "before": before}
        ((newer,),) = cursor.execute(_FIRST_NEWER, values).fetchall()
        counter = included.get(batch_no)
        last = min(last if newer is None else newer - 1, counter.last_seq if counter else 0)
        if first <= last:
            spans.append(Span(batch_no, first, last))
    return spans


class Archive:
    """The archive folder of a database. Call all methods on the threads of the store."""

    def __init__(self, database: Path) -> None:
        self.folder = database.with_name(f"{database.name}.archive")
        # Held from the commit that lists a file until its rename, and during queries of the list.
        self._rename_lock = threading.Lock()

    def write(self, cursor: duckdb.DuckDBPyConnection, span: Span) -> ArchiveFile:
        """Write committed points to a file with a hidden name and flush it to disk.

        Deletes the file and raises StoreUnavailableError if this fails.
        """
        try:
            self._make_folder()
            check_space(self.folder, (span.last_seq - span.first_seq + 1) * _BYTES_PER_POINT)
            name = self._free_name(span)
            hidden = self._hidden(name)
            try:
                return ArchiveFile(span, name, _write(cursor, span, hidden))
            except BaseException:
                hidden.unlink(missing_ok=True)
                raise
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(
                f"The archive {self.folder} cannot be written: {one_line(error)}"
            ) from error

    def commit_move(self, transaction: Transaction, file: ArchiveFile) -> bool:
        """Delete the points of a file from the database and list the file, atomically.

        Deletes the file and returns False if its batch has been deleted in the meantime.
        Raises StoreUnavailableError if the file and the database have different numbers of
        points. Propagates errors of DuckDB; ``recover`` then determines whether the transaction
        was committed.
        """
        span = file.span
        with self._rename_lock:
            with transaction() as cursor:
                if span.batch_no not in counters(cursor):
                    self._hidden(file.name).unlink(missing_ok=True)
                    return False
                # ``recover`` has deleted the file if the database was reopened in the meantime.
                if not self._hidden(file.name).exists():
                    raise StoreUnavailableError(f"The archive file {file.name} was deleted.")
                ((deleted,),) = cursor.execute(
                    _DELETE, [span.batch_no, span.first_seq, span.last_seq]
                ).fetchall()
                if deleted != file.points:
                    raise StoreUnavailableError(
                        f"The archived copy has {file.points} points and the database {deleted}."
                    )
                cursor.execute(
                    "INSERT INTO archives VALUES (?, ?, ?, ?)",
                    [span.batch_no, span.first_seq, span.last_seq, file.name],
                )
            self._hidden(file.name).rename(self.folder / file.name)
            sync(self.folder)
        return True

    @contextmanager
    def hidden_files(self, cursor: duckdb.DuckDBPyConnection, batch_no: int) -> Iterator[None]:
        """Hide the files of a batch while the block deletes it, then ``recover`` them.

        ``recover`` deletes them if the batch has been deleted, even after a crash. Raises OSError.
        """
        rows = cursor.execute("SELECT file FROM archives WHERE batch_no = ?", [batch_no]).fetchall()
        names = [name for (name,) in rows]
        try:
            with self._rename_lock:
                for name in names:
                    with suppress(FileNotFoundError):  # The file is missing.
                        (self.folder / name).rename(self._hidden(name))
            if names and self.folder.is_dir():
                sync(self.folder)
            yield
        finally:
            self.recover(cursor, names)

    def recover(
        self, cursor: duckdb.DuckDBPyConnection, names: Iterable[str] | None = None
    ) -> None:
        """Rename hidden files that the database lists and delete all others.

        Only files with these ``names``, if given: ``write`` may be writing another one.
        """
        with self._rename_lock:
            try:
                hidden_files = [*self.folder.glob(f".*{_HIDDEN_SUFFIX}")]
                if names is not None:
                    hidden_files = [path for path in map(self._hidden, names) if path.exists()]
                listed = set(_listed(cursor) if hidden_files else ())
                for hidden in hidden_files:
                    name = hidden.name[1 : -len(_HIDDEN_SUFFIX)]
                    if name in listed:
                        hidden.rename(self.folder / name)
                    else:
                        hidden.unlink()
            except OSError as error:
                logger.error("The archive %s cannot be recovered: %s", self.folder, error)

    def log_inconsistencies(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Log listed files that are missing, and present files that are not listed."""
        listed = _listed(cursor)
        present = {path.name for path in self.folder.glob("*.parquet")}
        if missing := [name for name in listed if name not in present]:
            logger.error("%s", self._format_missing(missing))
        if unknown := sorted(present.difference(listed)):
            logger.warning(
                "Ignoring files in the archive %s that the database does not list: %d, first %s",
                *(self.folder, len(unknown), unknown[0]),
            )

    @contextmanager
    def points(
        self,
        cursor: duckdb.DuckDBPyConnection,
        batch_no: int,
        after: int,
        up_to: int,
        times: TimeRange | None = None,
    ) -> Iterator[str]:
        """Yield an SQL expression that replaces the table ``points`` and includes the archive.

        Its rows include at least the points of the batch with ``after < seq <= up_to`` and, if
        given, within ``times``, in order of ``seq``; queries must filter them. The block is one
        transaction. Raises StoreUnavailableError if a file with such points is missing or damaged.
        """
        with self._rename_lock:
            # The list of files and the table must be read from the same snapshot.
            cursor.execute("BEGIN")
            files, missing = self._files(cursor, batch_no, after, up_to)
        try:
            if missing and not (times and self._has_all(cursor, batch_no, times)):
                raise StoreUnavailableError(self._format_missing(missing))
            yield _rows(batch_no, files)
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            if not files:
                raise
            raise StoreUnavailableError(
                f"The archive {self.folder} cannot be read: {one_line(error)}"
            ) from error
        finally:
            with suppress(duckdb.Error):
                cursor.execute("ROLLBACK")

    def _files(
        self, cursor: duckdb.DuckDBPyConnection, batch_no: int, after: int, up_to: int
    ) -> tuple[list[Path], list[str]]:
        """Return the files with points of a batch, and the names of missing ones."""
        rows = cursor.execute(_FILES, [batch_no, after, up_to]).fetchall()
        found = {name: self._path(name) for (name,) in rows}
        return [p for p in found.values() if p], [name for name, p in found.items() if not p]

    def _path(self, name: str) -> Path | None:
        paths = (self.folder / name, self._hidden(name))
        return next((path for path in paths if path.exists()), None)

    def _has_all(self, cursor: duckdb.DuckDBPyConnection, batch_no: int, times: TimeRange) -> bool:
        """Return whether no missing file has points within ``times``.

        Compares the number of points with the minutes, which include all archived points.
        """
        files, _ = self._files(cursor, batch_no, 0, MAX_SEQ)
        values = {"batch_no": batch_no, "start": times[0], "end": times[1]}
        ((expected,),) = cursor.execute(_EXPECTED_COUNT, values).fetchall()
        query = _FOUND_COUNT.format(points=_rows(batch_no, files))
        ((found,),) = cursor.execute(query, values).fetchall()
        return bool(found == expected)

    def _format_missing(self, names: list[str]) -> str:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        return (
            f"The archive file {names[0]}{more} is missing. Put it back into {self.folder}. "
            "Other data is unaffected."
        )

    def _hidden(self, name: str) -> Path:
        return self.folder / f".{name}{_HIDDEN_SUFFIX}"

    def _free_name(self, span: Span) -> str:
        """Return an unused name. The folder can contain files of another database."""
        stem = f"{span.batch_no:06d}-{span.first_seq:012d}-{span.last_seq:012d}"
        names = (f"{stem}{f'.{n}' if n else ''}.parquet" for n in count())
        return next(name for name in names if not (self.folder / name).exists())

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir()
            sync(self.folder.parent)


def _listed(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    rows = cursor.execute("SELECT file FROM archives ORDER BY batch_no, first_seq").fetchall()
    return [name for (name,) in rows]


def _write(cursor: duckdb.DuckDBPyConnection, span: Span, path: Path) -> int:
    """Write a file and verify that it can be read. Returns its number of points."""
    values = {"batch_no": span.batch_no, "first": span.first_seq, "last": span.last_seq}
    cursor.execute(_WRITE, values | {"path": str(path)})
    sync(path)
    sync(path.parent)
    ((points,),) = cursor.execute(
        f"SELECT count(key) FROM {_parquet([path])} WHERE seq >= ? AND seq <= ?",  # noqa: S608 (a quoted path)
        [span.first_seq, span.last_seq],
    ).fetchall()
    return int(points)


def _rows(batch_no: int, files: list[Path]) -> str:
    """Return an SQL expression for the rows of the files and of the table ``points``."""
    if not files:
        return "points"
    return (
        f"(SELECT {batch_no:d} AS batch_no, seq, ts::TIMESTAMP AS ts, key FROM {_parquet(files)}"  # noqa: S608 (a number and quoted paths)
        " UNION ALL SELECT batch_no, seq, ts, key FROM points)"
    )


def _parquet(files: list[Path]) -> str:
    """Return an SQL expression for the rows of the files."""
    # Escape glob characters: they could match other files.
    literal = (re.sub(r"[*?\[]", r"[\g<0>]", str(file)) for file in files)
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in literal)
    # Hive partitioning would convert a folder named ``a=b`` to a column.
    return f"read_parquet([{quoted}], hive_partitioning = false)"
