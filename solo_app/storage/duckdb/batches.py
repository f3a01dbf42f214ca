"""The tables ``batches`` and ``runs``, mapped with SQLModel."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pydantic import NaiveDatetime
from sqlalchemy import BigInteger, Column, Integer, Sequence, create_engine, func, tuple_
from sqlalchemy.pool import QueuePool
from sqlmodel import Field, Session, SQLModel, col, select

from solo_app.batches.models import Batch, BatchStatus, Labels, RestartPolicy, Run


class BatchRow(SQLModel, table=True):
    """A batch. Its row is created with its first run."""

    __tablename__ = "batches"

    no: int | None = Field(
        default=None, sa_column=Column(Integer, Sequence("batch_no"), primary_key=True)
    )
    batch_id: str = Field(unique=True)
    created_at: NaiveDatetime
    unit: str = ""
    description: str = ""


class RunRow(SQLModel, table=True):
    """A run of a batch.

    ``parameters`` is a JSON object. The table has no foreign key: DuckDB updates a row by rewriting
    it, which a reference would prevent.
    """

    __tablename__ = "runs"

    batch_no: int = Field(primary_key=True, sa_type=Integer)
    number: int = Field(primary_key=True, sa_type=Integer)
    source: str
    status: str
    reason: str | None = None
    started_at: NaiveDatetime
    ended_at: NaiveDatetime | None = None
    first_seq: int = Field(sa_type=BigInteger)
    last_seq: int | None = Field(default=None, sa_type=BigInteger)
    parameters: str = "{}"
    restart: str = "never"


class BatchTables:
    """Reads and writes batches and runs, each in one transaction.

    All methods block. Call writes on the writer thread.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        # A second duckdb.connect to the file would fail: the engine uses cursors of the instance.
        self._engine = create_engine("duckdb://", poolclass=QueuePool, creator=connect)

    def close(self) -> None:
        self._engine.dispose()

    def batches(self) -> list[Batch]:
        latest = select(RunRow.batch_no, func.max(RunRow.number)).group_by(col(RunRow.batch_no))
        query = (
            select(BatchRow, RunRow)
            .join(RunRow, col(RunRow.batch_no) == col(BatchRow.no))
            .where(tuple_(col(RunRow.batch_no), col(RunRow.number)).in_(latest))
        )
        with Session(self._engine) as session:
            return [_batch(batch, run) for batch, run in session.exec(query)]

    def runs(self, batch_no: int, offset: int, limit: int) -> list[Run]:
        query = (
            select(RunRow)
            .where(RunRow.batch_no == batch_no)
            .order_by(col(RunRow.number).desc())
            .offset(offset)
            .limit(limit)
        )
        with Session(self._engine) as session:
            return [_run(row) for row in session.exec(query)]

    def open_run(self, batch_id: str, run: Run, labels: Labels) -> Batch:
        with Session(self._engine) as session:
            row = session.exec(select(BatchRow).where(BatchRow.batch_id == batch_id)).one_or_none()
            if row is None:
                row = BatchRow(batch_id=batch_id, created_at=run.started_at)
            row.unit, row.description = labels.unit, labels.description
            session.add(row)
            session.flush()
            assert row.no is not None
            batch = Batch(row.no, batch_id, run, labels)
            # Not an insert: an earlier attempt can have committed although it raised.
            session.merge(_row(batch))
            session.commit()
            return batch

    def end_run(self, batch: Batch) -> None:
        with Session(self._engine) as session:
            session.merge(_row(batch))
            session.commit()

    def set_labels(self, batch_no: int, labels: Labels) -> None:
        with Session(self._engine) as session:
            row = session.exec(select(BatchRow).where(BatchRow.no == batch_no)).one()
            row.unit, row.description = labels.unit, labels.description
            session.add(row)
            session.commit()


def _batch(batch: BatchRow, run: RunRow) -> Batch:
    assert batch.no is not None
    return Batch(batch.no, batch.batch_id, _run(run), Labels(batch.unit, batch.description))


def _row(batch: Batch) -> RunRow:
    values = asdict(batch.run) | {"parameters": json.dumps(batch.run.parameters)}
    return RunRow(batch_no=batch.no, **values)


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
        parameters=json.loads(row.parameters),
        restart=RestartPolicy(row.restart),
    )
