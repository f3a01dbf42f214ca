"""The DuckDB instance of one file, reopened within the process after DuckDB has invalidated it.

After a failed checkpoint, for want of disk space above all, DuckDB refuses every call on every
connection until all of them are closed and the file is opened again. Nothing committed is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb.check import OFFLINE, one_line

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

MEMORY_LIMIT = "512MB"
"""What DuckDB may allocate. A query that needs more fails; other queries are unaffected."""

CHECKPOINT_THRESHOLD = "1TB"
"""Size of the WAL at which DuckDB checkpoints by itself: never, see ``checkpoints``."""

_INTERRUPT_WITHIN = 0.7
"""Seconds that queries have to end when the file is closed."""


class InvalidatedError(Exception):
    """The instance is invalidated or closed: retry after it was reopened."""


class Instance:
    """The open file. ``reading`` may be called on any thread, the rest on the writer thread."""

    def __init__(self, path: Path) -> None:
        self.invalidated = False
        """Whether DuckDB refuses every call until the file is opened again."""
        self._path = path
        self._root: duckdb.DuckDBPyConnection | None = None
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._reading: set[duckdb.DuckDBPyConnection] = set()
        self._change = threading.Condition()

    def open(self) -> None:
        """Open the file, created if missing. Raises duckdb.Error."""
        # Imported here because a top-level import makes the supervising process of a production
        # start print a report of leaked objects at exit.
        import duckdb

        root = duckdb.connect(
            self._path,
            config={
                "threads": 2,
                "memory_limit": MEMORY_LIMIT,
                "checkpoint_threshold": CHECKPOINT_THRESHOLD,
                "temp_directory": f"{self._path}.tmp",
                **OFFLINE,
            },
        )
        # Casts between timestamps with and without time zone depend on it.
        root.execute("SET GLOBAL TimeZone = 'UTC'")
        with self._change:
            self._root, self._writer = root, root.cursor()

    @property
    def writer(self) -> duckdb.DuckDBPyConnection:
        """The cursor of the writer thread."""
        assert self._writer, "the store is not open"
        return self._writer

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Another cursor. The caller closes it before the file is closed."""
        assert self._root, "the store is not open"
        return self._root.cursor()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor to read with. Raises InvalidatedError when the file must be opened again."""
        with self._change:
            root = self._root
            if root is None:
                raise InvalidatedError
            cursor = root.cursor()
            self._reading.add(cursor)
        try:
            yield cursor
        except Exception as error:
            if root is self._root:
                self.note(error)
            if is_fatal(error) or root is not self._root:
                raise InvalidatedError from error
            raise
        finally:
            # Removed before it is closed: interrupting a closed cursor raises.
            with self._change:
                self._reading.discard(cursor)
                self._change.notify_all()
            cursor.close()

    def close(self) -> None:
        """Interrupt all queries and close the file.

        DuckDB has been seen to wait forever inside a Parquet file whose query was interrupted.
        Such a query is abandoned, and the file stays open until the process ends. Nothing
        committed is lost: the WAL stays, and the next start replays it.
        """
        with self._change:
            root, self._root, self._writer = self._root, None, None
            deadline = time.monotonic() + _INTERRUPT_WITHIN
            while self._reading:
                if time.monotonic() > deadline:
                    logger.warning("A query ignored its interruption; abandoning it.")
                    break
                for cursor in self._reading:
                    cursor.interrupt()
                # A query that starts just now misses the interruption: repeat until none is left.
                self._change.wait(0.01)
        if root:
            root.close()  # Closes its cursors too.

    @property
    def has_active_readers(self) -> bool:
        """Whether a query is still running."""
        return bool(self._reading)

    def note(self, error: Exception) -> None:
        """Remember an error by which DuckDB invalidates its instance."""
        self.invalidated = self.invalidated or is_fatal(error)


def is_fatal(error: BaseException | None) -> bool:
    """Whether DuckDB has invalidated its instance, also when SQLAlchemy wraps its error."""
    import duckdb

    if isinstance(error, duckdb.FatalException | duckdb.InternalException):
        return True
    return error is not None and is_fatal(error.__cause__)


@contextmanager
def read_errors() -> Iterator[None]:
    """Raises StoreUnavailableError for a query that cannot be answered now.

    An error in the query itself passes through.
    """
    import duckdb

    try:
        yield
    except (duckdb.Error, SQLAlchemyError) as raised:
        error = raised.__cause__ if isinstance(raised, SQLAlchemyError) else raised
        if isinstance(error, duckdb.OutOfMemoryException):
            raise StoreUnavailableError(
                "The query needs more memory than the database may use. Query less at once."
            ) from raised
        # DuckDB reports a block that it cannot read as an error of the base class.
        if not isinstance(error, duckdb.OperationalError) and type(error) is not duckdb.Error:
            raise
        raise StoreUnavailableError(f"The database cannot be read: {one_line(error)}") from raised
