"""DuckDB on one file, opened anew inside the running process when it has given itself up.

After a failure in a checkpoint, a full disk most of all, DuckDB refuses every call of every
connection until all of them are closed and the file is opened again. Nothing committed is lost
by that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb import pool
from solo_app.storage.duckdb.check import OFFLINE, one_line

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

_BREAK_OFF_WITHIN = 0.7
"""Seconds that readers have to end when the file is closed."""

CHECKPOINT_THRESHOLD = "1TB"
"""The size of the log at which DuckDB folds it into the file by itself: never, see ``Log``."""


class GivenUpError(Exception):
    """DuckDB refuses every call, or the file is not open: ask again when it is open again."""


class Instance:
    """The open file. ``reading`` is for any thread, everything else for the writer's."""

    def __init__(self, path: Path) -> None:
        self.given_up = False
        """Whether DuckDB refuses every call until it is opened again."""
        self._path = path
        self._root: duckdb.DuckDBPyConnection | None = None
        self._reading: set[duckdb.DuckDBPyConnection] = set()
        self._change = threading.Condition()

    def open(self) -> duckdb.DuckDBPyConnection:
        """Open the file, made when missing; gives the writer's cursor. Raises duckdb.Error."""
        # duckdb is imported where it is first used: imported at the top, the process that
        # only supervises the server prints a report of leaked objects when it ends.
        import duckdb

        root = duckdb.connect(
            self._path,
            config={
                "threads": 2,
                "memory_limit": f"{pool.LIMIT}B",
                "checkpoint_threshold": CHECKPOINT_THRESHOLD,
                "temp_directory": f"{self._path}.tmp",
                **OFFLINE,
            },
        )
        with self._change:
            self._root = root
        return root.cursor()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Another cursor; whoever asked for it closes it before the file is closed."""
        assert self._root, "the store is not open"
        return self._root.cursor()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor to read with. Raises GivenUpError when the file must be opened again."""
        with self._change:
            root = self._root
            if root is None:
                raise GivenUpError
            cursor = root.cursor()
            self._reading.add(cursor)
        try:
            yield cursor
        except Exception as error:
            if root is self._root:
                self.note(error)
            if is_fatal(error) or root is not self._root:
                raise GivenUpError from error
            raise
        finally:
            cursor.close()
            with self._change:
                self._reading.discard(cursor)
                self._change.notify_all()

    def close(self) -> None:
        """Break off whoever reads, and close the file.

        DuckDB has been seen to wait for ever inside a Parquet file that was broken off: who does
        not end in time is left behind, and the file stays open until the process ends. Nothing
        committed is lost by that; the log stays, and the next start takes it up.
        """
        with self._change:
            root, self._root = self._root, None
            deadline = time.monotonic() + _BREAK_OFF_WITHIN
            while self._reading:
                if time.monotonic() > deadline:
                    logger.warning("A question to the database does not end; it is left.")
                    break
                for cursor in self._reading:
                    cursor.interrupt()
                # A query that begins just now does not feel it: again, until none is left.
                self._change.wait(0.01)
        if root:
            root.close()

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody still reads."""
        return bool(self._reading)

    def note(self, error: Exception) -> None:
        """See whether an error of DuckDB means that it has given itself up."""
        self.given_up = self.given_up or is_fatal(error)


def is_fatal(error: BaseException | None) -> bool:
    """Whether DuckDB has given itself up, also when SQLAlchemy tells of it."""
    import duckdb

    if isinstance(error, duckdb.FatalException | duckdb.InternalException):
        return True
    return error is not None and is_fatal(error.__cause__)


@contextmanager
def told_as_unavailable() -> Iterator[None]:
    """Tell of a query that cannot be answered now as StoreUnavailableError.

    A mistake in the query itself is no such thing and goes through.
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise StoreUnavailableError(
            "That needs more memory than the database may use; ask for less at once."
        ) from error
    except duckdb.Error as error:
        # A block that cannot be read is told as an error of no special kind.
        if not isinstance(error, duckdb.OperationalError) and type(error) is not duckdb.Error:
            raise
        raise StoreUnavailableError(f"The database cannot answer: {one_line(error)}") from error
