"""The DuckDB store: implements ``Storage``, runs its threads, and opens and closes the file.

All writes run in order on one thread. Queries run on other threads, each on its own cursor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import duckdb
from duckdb_engine import ConnectionWrapper
from sqlalchemy.exc import SQLAlchemyError

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import (
    NO_LABELS,
    Batch,
    Block,
    Bucket,
    Download,
    FileFormat,
    Labels,
    LogLine,
    MinuteAggregate,
    Point,
    Receipt,
    Run,
    Selection,
    Span,
    StoredMinutes,
    Window,
)
from solo_app.storage.duckdb import archive, deletions, log, minutes, points, receipts, schema
from solo_app.storage.duckdb.archive import Archive, ArchiveFile
from solo_app.storage.duckdb.batches import BatchTables
from solo_app.storage.duckdb.check import check_content, reject_orphaned_wal
from solo_app.storage.duckdb.checkpoints import Wal
from solo_app.storage.duckdb.connection import Instance, InvalidatedError
from solo_app.storage.duckdb.errors import (
    format_open_error,
    format_write_error,
    one_line,
)
from solo_app.storage.duckdb.export import Exports
from solo_app.storage.duckdb.files import OpenFiles
from solo_app.storage.duckdb.long_queries import LongQueries
from solo_app.storage.duckdb.writer import PointWriter

logger = logging.getLogger(__name__)

T = TypeVar("T")

_READERS = 2


class DuckDBStore:
    """A DuckDB file; implements ``Storage``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive = Archive(path)
        self._long_queries = LongQueries(self.run_on_reader)
        self._exports = Exports(self.run_on_reader, self._long_queries, self._archive, path)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._instance = Instance(path)
        self._files = OpenFiles(path)
        self._batches: BatchTables | None = None
        self._is_closed = False
        self._point_writer = PointWriter(path, self._instance, self._files, Wal(path))

    # Storage

    async def open(self) -> None:
        """Open the file or create it with its folder, run migrations and complete the minutes."""
        await self.run_on_writer(self._open)

    async def close(self) -> bool:
        self._is_closed = True
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._close)
        finally:
            self._writer.shutdown()
            # Do not wait for a query that ignored its interruption.
            self._readers.shutdown(wait=False)
        return not self._instance.has_active_readers

    async def batches(self) -> list[Batch]:
        return await self.run_on_reader(lambda _: self._open_batches.batches())

    async def runs(self, batch_no: int, offset: int, limit: int) -> list[Run]:
        return await self.run_on_reader(lambda _: self._open_batches.runs(batch_no, offset, limit))

    async def open_run(self, batch_id: str, run: Run, labels: Labels = NO_LABELS) -> Batch:
        return await self.run_on_writer(lambda: self._open_batches.open_run(batch_id, run, labels))

    async def end_run(self, batch: Batch) -> None:
        await self.run_on_writer(lambda: self._open_batches.end_run(batch))

    async def set_labels(self, batch_no: int, labels: Labels) -> None:
        await self.run_on_writer(lambda: self._open_batches.set_labels(batch_no, labels))

    async def write(
        self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]
    ) -> None:
        await self.run_on_writer(self._point_writer.write, blocks, minutes)

    async def append_log(self, lines: Mapping[int, Sequence[LogLine]]) -> None:
        await self.run_on_writer(self._point_writer.append_log, lines)

    async def log(self, batch_no: int) -> list[LogLine]:
        return await self.run_on_reader(lambda cursor: log.lines(cursor, batch_no))

    async def receipt(self, batch_no: int, key: str, since: datetime) -> Receipt | None:
        return await self.run_on_reader(lambda cursor: receipts.find(cursor, batch_no, key, since))

    async def points(self, batch_no: int, after: int, limit: int) -> list[Point]:
        return await self.run_on_reader(
            lambda cursor: points.points(cursor, self._archive, batch_no, after, limit)
        )

    async def buckets(self, batch_no: int, since: datetime, before_seq: int) -> list[Bucket]:
        return await self.run_on_reader(
            lambda cursor: points.buckets(cursor, self._archive, batch_no, since, before_seq)
        )

    async def minutes(self, batch_no: int, window: Window) -> list[MinuteAggregate]:
        return await self.run_on_reader(lambda cursor: minutes.minutes(cursor, batch_no, window))

    async def stored_minutes(self, start: datetime) -> StoredMinutes:
        return await self.run_on_reader(lambda cursor: minutes.stored_minutes(cursor, start))

    async def archivable_spans(self, before: datetime, oldest_before: datetime) -> list[Span]:
        await self.run_on_writer(self._recover_archive)
        return await self.run_on_reader(
            lambda cursor: archive.archivable_spans(cursor, before, oldest_before)
        )

    async def move_to_archive(self, span: Span) -> int:
        file = await self._long_queries(lambda cursor: self._archive.write(cursor, span))
        try:
            is_moved = await self.run_on_writer(self._commit_move, file)
        except StoreUnavailableError:
            # Deletes the file, which may have filled the disk.
            await self.run_on_writer(self._recover_archive)
            raise
        return file.points if is_moved else 0

    async def delete(self, batch_no: int) -> None:
        try:
            await self.run_on_writer(self._delete, batch_no)
        except StoreUnavailableError:
            # A commit can succeed although it raises a fatal error.
            if await self.run_on_reader(lambda cursor: deletions.exists(cursor, batch_no)):
                raise

    async def remove_deleted_points(self) -> None:
        for statement in await self.run_on_reader(deletions.remaining_parts):
            await self.run_on_writer(self._point_writer.execute, statement)

    async def download(
        self, file_format: FileFormat, selection: Selection, unit: str = ""
    ) -> Download:
        return await self._exports.download(file_format, selection, unit)

    async def backup(self) -> Download:
        return await self._exports.backup()

    def stop_exports(self) -> None:
        self._exports.stop()

    # Threads

    async def run_on_writer(self, call: Callable[..., T], *args: object) -> T:
        """Run a call on the writer thread, after all earlier writes.

        Raises StoreUnavailableError if the database rejects the call or is closed.
        """
        self._check_open()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._writer, self._with_reopen, call, *args
            )
        except SQLAlchemyError as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise StoreUnavailableError(format_write_error(self.path, cause)) from error

    async def run_on_reader(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run a query on a reader thread, on its own cursor.

        Raises StoreUnavailableError if the database cannot be read or is closed.
        """
        self._check_open()

        def run() -> T:
            with self._instance.reader() as cursor, _read_errors():
                return query(cursor)

        loop = asyncio.get_running_loop()
        with suppress(InvalidatedError):
            return await loop.run_in_executor(self._readers, run)
        await self.run_on_writer(lambda: None)  # Reopens the file.
        try:
            return await loop.run_in_executor(self._readers, run)
        except InvalidatedError:
            raise StoreUnavailableError("The database is being reopened. Try again.") from None

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError("The database is closed.")

    def _with_reopen(self, call: Callable[..., T], *args: object) -> T:
        """Check the files, reopen the database if it is invalidated, and run a call."""
        self._files.check_database()
        if self._files.is_wal_missing:
            self._point_writer.checkpoint_missing_wal()
        if self._instance.is_invalidated:
            logger.warning("Reopening the database")
            self._close()
            with self._close_on_error():
                self._connect()
            self._instance.is_invalidated = False
        try:
            result = call(*args)
        except Exception as error:
            self._instance.record_error(error)
            raise
        self._files.record_commit()
        return result

    @property
    def _open_batches(self) -> BatchTables:
        assert self._batches, "the store is not open"
        return self._batches

    def _open(self) -> None:
        with self._close_on_error():
            reject_orphaned_wal(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()
            with self._point_writer.transaction() as cursor:
                minutes.add_remaining_points(cursor)
            # Earlier releases counted commits in this file.
            self.path.with_name(f"{self.path.name}.tally").unlink(missing_ok=True)

    def _connect(self) -> None:
        self._instance.open()
        cursor = self._instance.writer
        self._files.record_open()
        # A rejected database and its WAL must remain unchanged.
        cursor.execute("PRAGMA disable_checkpoint_on_shutdown")
        check_content(self.path, cursor)
        cursor.execute("PRAGMA enable_checkpoint_on_shutdown")
        schema.migrate(cursor)
        self._exports.remove_leftovers()
        self._batches = BatchTables(lambda: ConnectionWrapper(self._instance.cursor()))
        self._archive.recover(cursor)
        self._archive.log_inconsistencies(cursor)

    @contextmanager
    def _close_on_error(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailableError:
            self._close()
            raise
        except (duckdb.Error, OSError, SQLAlchemyError) as error:
            self._close()
            raise StoreUnavailableError(format_open_error(self.path, error)) from error

    def _close(self) -> None:
        # Interrupt readers first: they use the tables.
        self._instance.close(checkpoint=not self._files.is_database_replaced)
        with suppress(duckdb.Error, SQLAlchemyError):  # An invalidated instance rejects all calls.
            if self._batches:
                self._batches.close()
        self._batches = None
        self._files.record_checkpoint()

    def _delete(self, batch_no: int) -> None:
        try:
            with (
                self._archive.hidden_files(self._instance.writer, batch_no),
                self._point_writer.commit() as cursor,
            ):
                deletions.delete_batch(cursor, batch_no)
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(
                f"The batch cannot be deleted: {one_line(error)}"
            ) from error

    def _commit_move(self, file: ArchiveFile) -> bool:
        try:
            return self._archive.commit_move(self._point_writer.transaction, file)
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(
                f"The points cannot be moved to the archive: {one_line(error)}"
            ) from error

    def _recover_archive(self) -> None:
        with _read_errors():
            self._archive.recover(self._instance.writer)


@contextmanager
def _read_errors() -> Iterator[None]:
    """Convert errors of the database to StoreUnavailableError. Propagate errors in a query."""
    try:
        yield
    except (duckdb.Error, SQLAlchemyError) as raised:
        error = raised.__cause__ if isinstance(raised, SQLAlchemyError) else raised
        if isinstance(error, duckdb.OutOfMemoryException):
            raise StoreUnavailableError(
                "The query exceeds the memory limit of the database. Request a smaller range."
            ) from raised
        # DuckDB raises the base class for an unreadable block.
        if not isinstance(error, duckdb.OperationalError) and type(error) is not duckdb.Error:
            raise
        raise StoreUnavailableError(f"The database cannot be read: {one_line(error)}") from raised
