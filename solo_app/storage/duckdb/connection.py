"""The DuckDB instance of one file, which the process can reopen after DuckDB invalidated it.

After a failed checkpoint, usually on a full disk, DuckDB rejects every call on every connection
until all of them are closed and the file is opened again. No committed data is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.storage.duckdb.check import OFFLINE
from solo_app.storage.duckdb.errors import is_fatal

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

MEMORY_LIMIT = "512MB"
"""Memory limit of DuckDB. A query that needs more fails; other queries are unaffected."""

CHECKPOINT_THRESHOLD = "1TB"
"""WAL size at which DuckDB checkpoints automatically: never reached, see ``checkpoints``."""

_INTERRUPT_TIMEOUT = 0.7
"""Seconds that interrupted queries have to end before the file is closed."""


class InvalidatedError(Exception):
    """The instance is invalidated or closed. Reopen it, then retry."""


class Instance:
    """The open file. Call ``reading`` on any thread, everything else on the writer thread."""

    def __init__(self, path: Path) -> None:
        self.is_invalidated = False
        """Whether DuckDB rejects every call until the file is opened again."""
        self._path = path
        self._root: duckdb.DuckDBPyConnection | None = None
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._reading: set[duckdb.DuckDBPyConnection] = set()
        self._change = threading.Condition()

    def open(self) -> None:
        """Open or create the file. Raises duckdb.Error."""
        # Imported here: a top-level import makes the supervisor process of a production start
        # print a report of leaked objects at exit.
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
        # Casts between timestamps with and without time zone use the time zone of the session.
        root.execute("SET GLOBAL TimeZone = 'UTC'")
        with self._change:
            self._root, self._writer = root, root.cursor()

    @property
    def writer(self) -> duckdb.DuckDBPyConnection:
        """The cursor of the writer thread."""
        assert self._writer, "the store is not open"
        return self._writer

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return another cursor. The caller must close it before the file is closed."""
        assert self._root, "the store is not open"
        return self._root.cursor()

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a cursor for queries. Raises InvalidatedError if the file must be reopened."""
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
                self.record_error(error)
            if is_fatal(error) or root is not self._root:
                raise InvalidatedError from error
            raise
        finally:
            # Remove the cursor before closing it: interrupting a closed cursor raises.
            with self._change:
                self._reading.discard(cursor)
                self._change.notify_all()
            cursor.close()

    def close(self, checkpoint: bool = True) -> None:
        """Interrupt all queries and close the file.

        Without ``checkpoint`` the files at the database's paths are not touched: they are not the
        opened ones any more, and a checkpoint would delete a WAL that belongs to another database.

        DuckDB can hang in a query on a Parquet file after an interruption. Such a query is
        abandoned, and the file stays open until the process ends. No committed data is lost: the
        WAL remains, and the next start replays it.
        """
        import duckdb

        with self._change:
            root, self._root, self._writer = self._root, None, None
            deadline = time.monotonic() + _INTERRUPT_TIMEOUT
            while self._reading:
                if time.monotonic() > deadline:
                    logger.warning("Query ignored its interruption; abandoning it")
                    break
                for cursor in self._reading:
                    cursor.interrupt()
                # A query that is just starting misses the interruption, so repeat it.
                self._change.wait(0.01)
        if root:
            if not checkpoint:
                with suppress(duckdb.Error):  # An invalidated instance does not checkpoint.
                    root.execute("PRAGMA disable_checkpoint_on_shutdown")
            root.close()  # Closes its cursors too.

    @property
    def has_active_readers(self) -> bool:
        """Whether a query is still running."""
        return bool(self._reading)

    def record_error(self, error: Exception) -> None:
        """Set ``invalidated`` if DuckDB invalidates its instance with this error."""
        self.is_invalidated = self.is_invalidated or is_fatal(error)
