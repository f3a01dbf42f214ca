"""Writes points, minutes and log lines, and checkpoints the WAL.

Call all methods on the writer thread.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import RECEIPT_LIFETIME, Block, LogLine, MinuteAggregate
from solo_app.storage.duckdb import log, receipts
from solo_app.storage.duckdb.checkpoints import Wal
from solo_app.storage.duckdb.connection import Instance
from solo_app.storage.duckdb.deletions import Statement
from solo_app.storage.duckdb.errors import format_write_error, is_fatal
from solo_app.storage.duckdb.files import OpenFiles, wal_path
from solo_app.storage.duckdb.minutes import (
    ADD_COUNTERS,
    ADD_MINUTES,
    counter_columns,
    counters,
    minute_columns,
)
from solo_app.storage.duckdb.points import point_columns

_RECEIPT_DELETION_INTERVAL = timedelta(hours=1)
"""Deleting expired receipts reads the whole table, so it is not part of every write."""

logger = logging.getLogger(__name__)


class PointWriter:
    def __init__(self, path: Path, instance: Instance, files: OpenFiles, wal: Wal) -> None:
        self._path = path
        self._instance = instance
        self._files = files
        self._wal = wal
        self._is_in_doubt = False
        self._last_seqs: dict[int, int] = {}
        self._receipts_deleted_at = datetime.min

    def write(self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]) -> None:
        """See ``Storage.write``."""
        if not (blocks or minutes):
            return
        self._last_seqs.update((block.batch_no, block.last_seq) for block in blocks)
        try:
            if not (self._is_in_doubt and self._is_stored(blocks, minutes)):
                self._insert(blocks, minutes)
            self._is_in_doubt = False
            for batch_no in minutes:  # They include all points of the batch.
                del self._last_seqs[batch_no]
        except duckdb.Error as error:
            self._is_in_doubt = self._is_in_doubt or is_fatal(error)
            raise StoreUnavailableError(format_write_error(self._path, error)) from error
        if self._wal.record_commit():
            self.checkpoint()

    def append_log(self, lines: Mapping[int, Sequence[LogLine]]) -> None:
        """See ``Storage.append_log``."""
        with self.commit() as cursor:
            log.append(cursor, lines)

    def execute(self, statement: Statement) -> None:
        """Execute a statement as one transaction. Raises StoreUnavailableError."""
        with self.commit() as cursor:
            cursor.execute(*statement)

    @contextmanager
    def commit(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Execute the block as one transaction, then checkpoint if it is due.

        Raises StoreUnavailableError.
        """
        try:
            with self.transaction() as cursor:
                yield cursor
        except duckdb.Error as error:
            raise StoreUnavailableError(format_write_error(self._path, error)) from error
        if self._wal.record_commit():
            self.checkpoint()

    def _insert(self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]) -> None:
        with self.transaction() as cursor:
            # DuckDB resolves these table names to local variables.
            if blocks:
                new_points = point_columns(blocks)  # noqa: F841
                cursor.execute("INSERT INTO points SELECT * FROM new_points")
            if any(block.receipts for block in blocks):
                self._insert_receipts(cursor, blocks)
            if minutes:
                new_minutes = minute_columns(minutes)  # noqa: F841
                cursor.execute(ADD_MINUTES)
                new_counters = counter_columns(minutes, self._last_seqs)  # noqa: F841
                cursor.execute(ADD_COUNTERS)

    def _insert_receipts(self, cursor: duckdb.DuckDBPyConnection, blocks: Sequence[Block]) -> None:
        receipts.add(cursor, blocks)
        newest = max(receipt.created_at for block in blocks for receipt in block.receipts)
        if newest >= self._receipts_deleted_at + _RECEIPT_DELETION_INTERVAL:
            receipts.delete(cursor, newest - RECEIPT_LIFETIME)
            self._receipts_deleted_at = newest

    def _is_stored(
        self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]
    ) -> bool:
        """Return whether a commit succeeded although it raised a fatal error."""
        if blocks:
            query = "SELECT count(*) FROM points WHERE batch_no = ? AND seq = ?"
            values = [blocks[0].batch_no, blocks[0].last_seq]
            ((found,),) = self._instance.writer.execute(query, values).fetchall()
            return bool(found)
        included = {no: c.last_seq for no, c in counters(self._instance.writer).items()}
        return all(included.get(no) == self._last_seqs[no] for no in minutes)

    def checkpoint(self) -> bool:
        """Write the WAL into the database file if there is space. Returns whether it succeeded."""
        if not self._wal.has_space:
            return False
        self._wal.record_checkpoint()
        try:
            self._instance.writer.execute("CHECKPOINT")
        except duckdb.Error as error:  # No data is lost: the WAL remains.
            self._instance.record_error(error)
            if self._instance.is_invalidated:
                self._files.record_checkpoint()
            return False
        self._files.record_checkpoint()
        return True

    def checkpoint_missing_wal(self) -> None:
        """Write the contents of a removed WAL, which DuckDB has in memory, into the database.

        Raises StoreUnavailableError.
        """
        wal = wal_path(self._path)
        if self._instance.is_invalidated or not self.checkpoint():
            raise StoreUnavailableError(
                f"The WAL {wal} was removed while in use, and its contents cannot be written into "
                "the database. Free some space, or download /backup, stop the app, and restore "
                "that file."
            )
        logger.warning("Contents of the removed WAL saved to the database: %s", wal)

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Execute the block as one transaction."""
        writer = self._instance.writer
        try:
            # Fails if the previous rollback failed, for example for lack of memory. The error
            # handler then rolls back again.
            writer.execute("BEGIN")
            yield writer
            writer.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # A failed COMMIT has already ended the transaction.
                writer.execute("ROLLBACK")
            raise
