"""DuckDB behind one door: schema, the writer thread, reads, opening and closing.

What a call has committed survives the end of the process, ``kill -9`` included. Every write
runs on one thread, one after the other; reads run beside it, each on a cursor of its own.

Layout: ``points`` in order of arrival with typed columns and no index, so that time and
``seq`` prune by block; ``minutes`` their aggregates; ``archives`` the files of those that were
removed; ``losses`` those that a repair found gone. In every committed state the minutes of a
batch count exactly its points from the first up to some ``seq``, the removed ones included, and
only such are removed: the points after that are folded in when the store opens, and nothing ever
needs to count the large table.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import (
    Batch,
    Block,
    Download,
    FileFormat,
    MinuteAggregate,
    Point,
    Run,
    Selection,
    Span,
    Step,
    Window,
)
from solo_app.storage.duckdb import archive, counted, registry
from solo_app.storage.duckdb import points as queries
from solo_app.storage.duckdb.archive import Archive, ArchiveFile
from solo_app.storage.duckdb.check import (
    advice,
    check_content,
    check_left,
    check_whole,
    log_of,
    one_line,
    refusal,
    was_checked,
    was_ended,
)
from solo_app.storage.duckdb.commits import Commits
from solo_app.storage.duckdb.connection import GivenUpError, Instance, told_as_unavailable
from solo_app.storage.duckdb.export import Exports
from solo_app.storage.duckdb.long_reads import LongReads
from solo_app.storage.duckdb.registry import Registry
from solo_app.storage.duckdb.tally import Tally

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

T = TypeVar("T")

_READERS = 2

_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS points (
    batch_no INTEGER NOT NULL, seq BIGINT NOT NULL, ts TIMESTAMP NOT NULL, key DOUBLE NOT NULL
);
"""
    + counted.SCHEMA
    + archive.SCHEMA
)


class DuckDBStore:
    """An open DuckDB file. All methods that touch it are coroutines and never block the loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive = Archive(path)
        self._long_reads = LongReads(self._read)
        self._exports = Exports(self._read, self._long_reads, self._archive, path)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._instance = Instance(path)
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._registry: Registry | None = None
        self._tally = Tally(path)
        self._commits = Commits(path, self._instance, self._tally)

    async def open(self) -> bool:
        """Open the file, made with its folder when missing, and bring its minutes up to date.

        Of the runs without an end, only the latest of a batch is left so. Gives whether the
        file was there before. Raises StoreUnavailableError.
        """
        return await self.on_writer(self._open)

    async def close(self) -> None:
        """Finish what was handed over, then close the file."""
        await self.on_writer(self._end)
        self._writer.shutdown()
        # One that does not end would hold up everything else for ever.
        self._readers.shutdown(wait=False)

    async def checkpoint(self) -> None:
        """Fold the log into the file where the disk has room for that; else it stays as it is.

        Raises StoreUnavailableError.
        """
        await self.on_writer(self._commits.fold)

    @property
    def has_active_readers(self) -> bool:
        """Whether a query ignored its interruption, so that its thread keeps running."""
        return self._instance.is_waited_for

    async def on_writer(self, call: Callable[..., T], *args: object) -> T:
        """Run a call on the writer thread, after all writes handed over before it.

        Raises StoreUnavailableError when the database refuses what the call does.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._writer, self._revived, call, *args
            )
        except SQLAlchemyError as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise StoreUnavailableError(refusal(self.path, cause)) from error

    async def batches(self) -> list[Batch]:
        """Every batch with its latest run. Raises StoreUnavailableError."""
        return await self.on_writer(lambda: self._records.load())

    async def runs(self, batch_no: int) -> list[Run]:
        """All runs of a batch, the latest first. Raises StoreUnavailableError."""
        return await self.on_writer(lambda: self._records.runs(batch_no))

    async def open_run(self, batch_id: str, run: Run) -> Batch:
        """Record that a run begins. Raises StoreUnavailableError."""
        return await self.on_writer(self._open_run, batch_id, run)

    async def end_run(self, batch: Batch) -> None:
        """Record how the latest run of a batch ended. Raises StoreUnavailableError."""
        await self.on_writer(lambda: self._records.end_run(batch))

    async def write(
        self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]
    ) -> None:
        """Commit points, and add ``minutes`` (by batch number) to the aggregates, all or nothing.

        The minutes must count exactly the points from the last ones counted up to these.
        """
        await self.on_writer(self._commits.write, blocks, minutes)

    async def points(self, batch_no: int, after: int, limit: int) -> list[Point]:
        """At most ``limit`` committed points with ``seq > after``, in order."""
        return await self._read(
            lambda cursor: queries.points(cursor, self._archive, batch_no, after, limit)
        )

    async def steps(self, batch_no: int, since: datetime, before_seq: int) -> list[Step]:
        """The steps of the points with ``ts > since`` and ``seq < before_seq``, oldest first.

        A step that ``since`` cuts counts its part after it. Which of several lowest or highest
        points a step names is not fixed.
        """
        return await self._read(
            lambda cursor: queries.steps(cursor, self._archive, batch_no, since, before_seq)
        )

    async def minutes(self, batch_no: int, window: Window) -> list[MinuteAggregate]:
        """The aggregates written for the minutes of a window, oldest first."""
        return await self._read(lambda cursor: queries.minutes(cursor, batch_no, window))

    async def counted_since(
        self, start: datetime
    ) -> tuple[dict[int, int], dict[int, list[MinuteAggregate]]]:
        """The last committed ``seq`` as far as it is counted, and all aggregates from a minute on.

        Both by batch number, and of one moment.
        """
        return await self._read(lambda cursor: queries.counted_since(cursor, start))

    async def old_spans(self, before: datetime, oldest_before: datetime) -> list[Span]:
        """What may be archived: see ``archive.old_spans``."""
        return await self._read(lambda cursor: archive.old_spans(cursor, before, oldest_before))

    async def move_to_archive(self, span: Span) -> int:
        """Remove committed points and keep them in a file; gives their number.

        Raises StoreUnavailableError; then they are all where they were.
        """
        file = await self._long_reads(lambda cursor: self._archive.write(cursor, span))
        try:
            await self.on_writer(self._take_over, file)
        except StoreUnavailableError:
            await self.recover_archive()  # A full disk is not kept full by a file of no use.
            raise
        return file.points

    async def download(self, file_format: FileFormat, selection: Selection) -> Download:
        """The selected points in order of ``seq``. Raises StoreUnavailableError."""
        return await self._exports.download(file_format, selection)

    async def backup(self) -> Download:
        """A consistent snapshot of the database. Raises StoreUnavailableError."""
        return await self._exports.backup()

    def stop_exports(self) -> None:
        """Abort downloads and backups in progress and refuse new ones."""
        self._exports.stop()

    async def recover_archive(self) -> None:
        """Bring to an end what was broken off in the archive. Raises StoreUnavailableError."""
        await self.on_writer(self._recover_archive)

    # -- on the store's threads -------------------------------------------------------------

    @property
    def _records(self) -> Registry:
        """The batches and runs, for the writer's thread alone: it closes and opens them again."""
        assert self._registry, "the store is not open"
        return self._registry

    def _revived(self, call: Callable[..., T], *args: object) -> T:
        """Run a call on a file that is open, also when DuckDB has given itself up before."""
        if self._instance.given_up:
            logger.warning("The database is opened again.")
            self._close()
            with self._closed_when_refused():
                self._connect(check_content)
            self._instance.given_up = False
        try:
            return call(*args)
        except Exception as error:
            self._instance.note(error)
            raise

    def _open(self) -> bool:
        was_there = self.path.exists()
        with self._closed_when_refused():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if was_ended(self.path):
                self._connect(check_whole)
            else:
                if not was_checked(self.path):
                    check_left(self.path)
                self._connect(check_content)
            if was_there:
                self._bring_up_to_date()
        return was_there

    def _connect(self, check_opened: Callable[[Path, duckdb.DuckDBPyConnection], bool]) -> None:
        """Open the file; what is there must pass the check, which tells whether it is all there."""
        from duckdb_engine import ConnectionWrapper

        was_there = self.path.exists()
        self._commits.cursor = self._cursor = self._instance.open()
        if not (was_there and check_opened(self.path, self._cursor)):
            self._cursor.execute(f"BEGIN; {_SCHEMA} {registry.schema()}; COMMIT")
        if was_there:
            registry.widen(self._cursor)
        self._exports.remove_leftovers()
        self._registry = Registry(lambda: ConnectionWrapper(self._instance.cursor()))
        self._archive.settle(self._cursor)
        self._archive.look_over(self._cursor)

    def _bring_up_to_date(self) -> None:
        assert self._cursor
        if counted.fold_the_rest(self._cursor):
            self._records.end_forgotten_runs()
        self._tally.begin(sum(counted.counted(self._cursor).values()))

    @contextmanager
    def _closed_when_refused(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except StoreUnavailableError:
            self._close()
            raise
        except (duckdb.Error, OSError, SQLAlchemyError) as error:
            self._close()
            raise StoreUnavailableError(advice(self.path, error)) from error

    def _end(self) -> None:
        self._close()
        self._tally.end(whole=not log_of(self.path).exists())

    def _close(self) -> None:
        if self._registry:
            self._registry.close()
        if self._cursor:
            self._cursor.close()
        self._registry = self._cursor = self._commits.cursor = None
        self._instance.close()

    def _open_run(self, batch_id: str, run: Run) -> Batch:
        batch = self._records.open_run(batch_id, run)
        self._tally.names[batch.no] = batch_id
        return batch

    def _take_over(self, file: ArchiveFile) -> None:
        import duckdb

        try:
            self._archive.take_over(self._commits.transaction, file)
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailableError(
                f"the archive did not take them: {one_line(error)}"
            ) from error

    def _recover_archive(self) -> None:
        import duckdb

        assert self._cursor, "the store is not open"
        try:
            self._archive.settle(self._cursor)
        except duckdb.Error as error:
            raise StoreUnavailableError(f"The database cannot answer: {one_line(error)}") from error

    async def _read(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        def run() -> T:
            with self._instance.reading() as cursor, told_as_unavailable():
                return query(cursor)

        loop = asyncio.get_running_loop()
        with suppress(GivenUpError):
            return await loop.run_in_executor(self._readers, run)
        await self.on_writer(_nothing)  # When that is done, the file is open again.
        try:
            return await loop.run_in_executor(self._readers, run)
        except GivenUpError:
            raise StoreUnavailableError("The database cannot answer now; ask again.") from None


def _nothing() -> None:
    """What is asked of the writer thread to know that it has come so far."""
