"""The DuckDB instance of a file. It can be reopened after DuckDB has invalidated it.

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

import duckdb

from solo_app.storage.duckdb.check import OFFLINE
from solo_app.storage.duckdb.errors import is_fatal

logger = logging.getLogger(__name__)

MEMORY_LIMIT = "512MB"
"""Memory limit of DuckDB. A query that needs more fails; other queries are unaffected."""

CHECKPOINT_THRESHOLD = "1TB"
"""WAL size at which DuckDB checkpoints automatically. Never reached, see ``checkpoints``."""

_INTERRUPT_TIMEOUT = 0.7
"""Time limit in seconds for interrupted queries to end before the file is closed."""


class InvalidatedError(Exception):
    """The instance is invalidated or closed. Reopen it, then retry."""


class Instance:
    """The open file. Call ``reader`` on any thread, all other methods on the writer thread."""

    def __init__(self, path: Path) -> None:
        self.is_invalidated = False
        """Whether DuckDB rejects every call until the file is opened again."""
        self._path = path
        self._root: duckdb.DuckDBPyConnection | None = None
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._reading: set[duckdb.DuckDBPyConnection] = set()
        self._condition = threading.Condition()

    def open(self) -> None:
        """Open or create the file. Raises duckdb.Error."""
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
        # Casts between timestamps with and without time zone use the session's time zone.
        root.execute("SET GLOBAL TimeZone = 'UTC'")
        with self._condition:
            self._root, self._writer = root, root.cursor()

    @property
    def writer(self) -> duckdb.DuckDBPyConnection:
        """The cursor of the writer thread."""
        assert self._writer, "the store is not open"
        return self._writer

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a new cursor. The caller must close it before ``close``."""
        assert self._root, "the store is not open"
        return self._root.cursor()

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a cursor for queries. Raises InvalidatedError if the file must be reopened."""
        with self._condition:
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
            # Remove the cursor before closing it: ``interrupt`` raises for a closed cursor.
            with self._condition:
                self._reading.discard(cursor)
                self._condition.notify_all()
            cursor.close()

    def close(self, checkpoint: bool = True) -> None:
        """Interrupt all queries and close the file.

        Disable ``checkpoint`` if other files have replaced the opened ones: a checkpoint would
        delete the WAL of another database.

        DuckDB can hang in a query on a Parquet file after an interruption. Such a query is
        abandoned, and the file remains open until the process ends. No committed data is lost: the
        WAL remains, and the next start replays it.
        """
        with self._condition:
            root, self._root, self._writer = self._root, None, None
            deadline = time.monotonic() + _INTERRUPT_TIMEOUT
            while self._reading:
                if time.monotonic() > deadline:
                    logger.warning("Query ignored its interruption; abandoning it")
                    break
                for cursor in self._reading:
                    cursor.interrupt()
                # Repeat the interruption: a query that is starting misses it.
                self._condition.wait(0.01)
        if root:
            if not checkpoint:
                with suppress(duckdb.Error):  # An invalidated instance does not checkpoint.
                    root.execute("PRAGMA disable_checkpoint_on_shutdown")
            root.close()  # Closes its cursors too.

    @property
    def has_active_readers(self) -> bool:
        return bool(self._reading)

    def record_error(self, error: Exception) -> None:
        """Set ``is_invalidated`` if DuckDB invalidates its instance with this error."""
        self.is_invalidated = self.is_invalidated or is_fatal(error)
