"""Commits: what a commit holds, and what follows it. All on the store's writer thread."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import Block, MinuteAggregate
from solo_app.storage.duckdb import counted
from solo_app.storage.duckdb.check import refusal
from solo_app.storage.duckdb.checkpoints import Log
from solo_app.storage.duckdb.columns import columns_of_minutes, columns_of_points
from solo_app.storage.duckdb.connection import Instance, is_fatal
from solo_app.storage.duckdb.pool import Pool
from solo_app.storage.duckdb.tally import Tally

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)


class Commits:
    """Writes through ``cursor``, which whoever opens the file puts here."""

    def __init__(self, path: Path, instance: Instance, tally: Tally) -> None:
        self.cursor: duckdb.DuckDBPyConnection | None = None
        self._path = path
        self._instance = instance
        self._tally = tally
        self._log = Log(path)
        self._pool = Pool()
        self._in_doubt = False
        self._erred = False
        self._last_seqs: dict[int, int] = {}

    def write(self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]) -> None:
        """See ``Store.write``."""
        import duckdb

        try:
            if not (self._in_doubt and self._holds(blocks, minutes)):
                self._insert(blocks, minutes)
            self._in_doubt = False
        except duckdb.Error as error:
            self._in_doubt = self._in_doubt or is_fatal(error)
            raise StoreUnavailableError(refusal(self._path, error)) from error
        try:
            self._keep_accounts(blocks)
        except Exception:  # Told to the caller, it would have the same points committed again.
            if not self._erred:
                logger.exception("The accounts of the database are not kept; its points are.")
            self._erred = True

    def _keep_accounts(self, blocks: Sequence[Block]) -> None:
        """What follows a commit: the tally, and the log and the memory kept short."""
        for block in blocks:
            self._last_seqs[block.batch_no] = block.last_seq
            self._tally.add(block.batch_no, block.last_seq, len(block.ts))
        if blocks:
            self._tally.write()
        is_due = self._pool.committed(sum(len(block.ts) for block in blocks))
        if self._log.committed():
            self._checkpoint()
            is_due = True
        if is_due:
            self._let_go()

    def _insert(self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]) -> None:
        with self.transaction() as cursor:
            # DuckDB finds the columns by the names of these variables.
            if blocks:
                point_columns = columns_of_points(blocks)  # noqa: F841
                cursor.execute("INSERT INTO points SELECT * FROM point_columns")
            if minutes:
                minute_columns = columns_of_minutes(minutes)  # noqa: F841
                cursor.execute(counted.ADD_MINUTES)

    def _holds(self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]) -> bool:
        """Whether a commit is in the file that DuckDB gave itself up over.

        When it fails in the checkpoint that a commit sets off, the commit itself may have held.
        """
        assert self.cursor, "the store is not open"
        for block in blocks:
            query = "SELECT count(*) FROM points WHERE batch_no = ? AND seq = ?"
            ((found,),) = self.cursor.execute(query, [block.batch_no, block.last_seq]).fetchall()
            return bool(found)
        for batch_no in minutes:
            # Without points, minutes are written up to the last point that was committed.
            return counted.counted(self.cursor).get(batch_no) == self._last_seqs[batch_no]
        return True

    def fold(self) -> None:
        """See ``Store.fold``."""
        if self._log.size and self._log.has_room:
            self._checkpoint()

    def _checkpoint(self) -> None:
        import duckdb

        assert self.cursor, "the store is not open"
        self._log.folded()
        try:
            self.cursor.execute("CHECKPOINT")
        except duckdb.Error as error:  # Nothing is lost by a log that stays as it is for now.
            self._instance.note(error)

    def _let_go(self) -> None:
        import duckdb

        assert self.cursor, "the store is not open"
        try:
            self._pool.let_go(self.cursor)
        except duckdb.Error as error:  # It holds more than it should until the next time.
            self._instance.note(error)

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Commits what the block does through the cursor, all or nothing."""
        assert self.cursor, "the store is not open"
        try:
            # It fails where a rollback failed, for want of memory say; the next one finds it ended.
            self.cursor.execute("BEGIN")
            yield self.cursor
            self.cursor.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        import duckdb

        assert self.cursor
        with suppress(duckdb.Error):  # A failed COMMIT has ended the transaction already.
            self.cursor.execute("ROLLBACK")
