"""The registry: batches and their runs, kept with SQLModel in the store's database.

A few rows that people look at, never points. The methods block; the store runs them on its
writer thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Dialect, Engine, func, make_url
from sqlalchemy.orm import aliased
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateSequence, CreateTable
from sqlmodel import Session, SQLModel, col, select

from solo_app.batches.model import BATCH_NO, Batch, BatchRow, BatchStatus, Run, RunRow

if TYPE_CHECKING:
    import duckdb

_URL = "duckdb://"

_WORDED: dict[Any, Any] = {}
"""The queries of this module as SQL, worded once however often a database is opened."""


@cache
def schema() -> str:
    """Makes what is missing of the registry's tables, as SQL."""
    makes = [CreateSequence(BATCH_NO, if_not_exists=True)] + [
        CreateTable(table, if_not_exists=True) for table in SQLModel.metadata.sorted_tables
    ]
    return ";".join(str(make.compile(dialect=_dialect())) for make in makes)


def widen(cursor: duckdb.DuckDBPyConnection) -> None:
    """Let the runs of an earlier version count on: a fast batch has 2 147 483 647 in hours."""
    asked = cursor.execute("SELECT first_seq FROM runs LIMIT 0")
    if asked.description[0][1] == "INTEGER":
        for column in ("first_seq", "last_seq"):
            cursor.execute(f"ALTER TABLE runs ALTER {column} TYPE BIGINT")


@cache
def _dialect() -> Dialect:
    """What SQLAlchemy knows of DuckDB."""
    url = make_url(_URL)
    known = url.get_dialect()
    # Its authors left the keeping of worded queries switched off, for types that are not used here.
    kind: type[Dialect] = type("Keeping", (known,), {"supports_statement_cache": True})
    return kind(dbapi=known.import_dbapi())  # type: ignore[call-arg]


class Registry:
    """Reads and writes batches and runs; each method is one transaction."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        # DuckDB admits one instance for a file: the engine is handed connections of that one.
        # Every session ends its transaction itself; to end it again takes an error each time.
        pool = QueuePool(connect, dialect=_dialect(), reset_on_return=None)
        self._engine = Engine(
            pool, _dialect(), make_url(_URL), execution_options={"compiled_cache": _WORDED}
        )

    def close(self) -> None:
        """Give the cursors back."""
        self._engine.dispose()

    def load(self) -> list[Batch]:
        """Every batch with its latest run."""
        latest = (
            select(RunRow.batch_no, func.max(RunRow.number).label("number"))
            .group_by(col(RunRow.batch_no))
            .subquery()
        )
        query = (
            select(BatchRow, RunRow)
            .join(RunRow, col(RunRow.batch_no) == col(BatchRow.no))
            .join(
                latest,
                (latest.c.batch_no == col(RunRow.batch_no))
                & (latest.c.number == col(RunRow.number)),
            )
        )
        with Session(self._engine) as session:
            return [_batch(batch, run) for batch, run in session.exec(query)]

    def open_run(self, batch_id: str, run: Run) -> Batch:
        """Record that a run begins, and the batch with it when it is new."""
        with Session(self._engine) as session:
            row = session.exec(select(BatchRow).where(BatchRow.batch_id == batch_id)).one_or_none()
            if row is None:
                row = BatchRow(batch_id=batch_id, created_at=run.started_at)
                session.add(row)
                session.flush()
            assert row.no is not None
            batch = Batch(row.no, batch_id, run)
            session.add(
                RunRow(
                    batch_no=row.no,
                    number=run.number,
                    source=run.source,
                    status=run.status,
                    started_at=run.started_at,
                    first_seq=run.first_seq,
                )
            )
            session.commit()
            return batch

    def end_forgotten_runs(self) -> None:
        """End what was left open before a later run: its end could not be recorded then."""
        later = aliased(RunRow)
        query = select(RunRow, func.min(later.started_at), func.min(later.first_seq)).where(
            col(RunRow.ended_at).is_(None),
            col(later.batch_no) == col(RunRow.batch_no),
            col(later.number) == col(RunRow.number) + 1,
        )
        with Session(self._engine) as session:
            for row, next_start, next_seq in session.exec(query.group_by(*RunRow.__table__.c)):  # type: ignore[attr-defined]
                row.status = BatchStatus.INTERRUPTED
                row.ended_at = next_start
                row.last_seq = next_seq - 1
                session.add(row)
            session.commit()

    def end_run(self, batch: Batch) -> None:
        """Record how the latest run of a batch ended."""
        with Session(self._engine) as session:
            row = session.get_one(RunRow, (batch.no, batch.run.number))
            row.status = batch.run.status
            row.reason = batch.run.reason
            row.ended_at = batch.run.ended_at
            row.last_seq = batch.run.last_seq
            session.add(row)
            session.commit()

    def runs(self, batch_no: int) -> list[Run]:
        """All runs of a batch, the latest first."""
        query = (
            select(RunRow).where(RunRow.batch_no == batch_no).order_by(col(RunRow.number).desc())
        )
        with Session(self._engine) as session:
            return [_run(row) for row in session.exec(query)]


def _batch(batch: BatchRow, run: RunRow) -> Batch:
    assert batch.no is not None
    return Batch(batch.no, batch.batch_id, _run(run))


def _run(row: RunRow) -> Run:
    return Run(
        number=row.number,
        source=row.source,
        status=BatchStatus(row.status),
        started_at=row.started_at,
        first_seq=row.first_seq,
        ended_at=row.ended_at,
        last_seq=row.last_seq,
        reason=row.reason,
    )
