"""What the API says and takes, as values: the JSON of every answer, and how queries are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from solo_app.batches.model import Aggregate, Batch, BatchStatus, MinuteAggregate, Point, Run
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService


def iso(moment: datetime) -> str:
    """A naive UTC time as ISO 8601 with ``Z``."""
    return moment.isoformat() + "Z"


def number(value: float) -> int | float:
    """A whole number without a fraction, any other as it is."""
    return int(value) if value.is_integer() else value


def read_time(text: object) -> datetime:
    """ISO 8601 with an offset, ``Z`` or none (then UTC), as naive UTC. Raises ValueError."""
    if isinstance(text, str):
        # A plus that was not escaped in the address arrives as a space.
        text = re.sub(r"(T[\d:.]+) (\d\d:?\d\d)$", r"\1+\2", text)
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("use a time in ISO 8601, such as 2012-11-11T10:11:10Z") from None
    return moment


def read_whole(text: object) -> object:
    """Digits alone are a whole number, not all that could be read as one: ``1_0``, ``5.0``, ``+5``.

    Raises ValueError.
    """
    if isinstance(text, str) and not re.fullmatch("-?[0-9]+", text):
        raise ValueError("use a whole number, such as 10")
    return text


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

Time = Annotated[datetime, PlainSerializer(iso, return_type=str), _TIME_SCHEMA]
TimeQuery = Annotated[datetime, BeforeValidator(read_time), _TIME_SCHEMA]
Number = Annotated[
    float, PlainSerializer(number, return_type=int | float), WithJsonSchema({"type": "number"})
]
Count = Annotated[int, Field(ge=0)]
WHOLE = BeforeValidator(read_whole)


class Value(BaseModel):
    """Base of all values: nothing unknown is taken silently."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class StartRequest(Value):
    """How a batch is to run."""

    source: Literal["random"] = "random"


class Message(Value):
    """What was done, to which batch."""

    message: str
    batch_id: str


class Overall(Value):
    """The overall data.

    ``waiting`` says why points wait for the disk, ``unarchived`` why old points are not archived,
    when it is so.
    """

    row_count: Count
    task_count: Count
    task_limit: Count = BATCH_LIMIT
    rows_per_second: Number
    batch_count: Count
    waiting: str | None
    unarchived: str | None


class PointData(Value):
    """The payload of a point."""

    key: Number


class PointValue(Value):
    """One produced value."""

    seq: int
    ts: Annotated[
        datetime,
        PlainSerializer(lambda ts: ts.isoformat(timespec="microseconds") + "Z", return_type=str),
        _TIME_SCHEMA,
    ]
    data: PointData

    @classmethod
    def of(cls, point: Point) -> Self:
        """The value of a point."""
        return cls(seq=point.seq, ts=point.ts, data=PointData(key=point.key))


class Task(Value):
    """A running batch; ``run`` counts its lives, ``latest`` is its newest committed point."""

    batch_id: str
    status: BatchStatus
    source: str
    run: int
    started_at: Time
    row_count: Count
    rows_per_second: Number
    latest: PointValue | None

    @classmethod
    def of(cls, batch: Batch, service: BatchService) -> Self:
        """The value of a running batch as it stands now."""
        latest = service.latest_point(batch)
        return cls(
            batch_id=batch.batch_id,
            status=batch.status,
            source=batch.run.source,
            run=batch.run.number,
            started_at=batch.run.started_at,
            row_count=service.row_count(batch),
            rows_per_second=service.rows_per_second(batch),
            latest=PointValue.of(latest) if latest else None,
        )


class Tasks(Value):
    """The running batches, in the order in which they took their slots."""

    tasks: list[Task]


class AggregateValue(Value):
    """The points with ``from <= ts < to``; ``average`` is null when there are none."""

    batch_id: str
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    average: Number | None
    sum: Number
    count: Count

    @classmethod
    def of(cls, aggregate: Aggregate) -> Self:
        """The value of an aggregate."""
        minute, window = aggregate.minute, aggregate.window
        return cls(
            batch_id=aggregate.batch_id,
            start=window.start,
            end=window.end,
            average=minute.average if minute else None,
            sum=minute.sum if minute else 0.0,
            count=minute.count if minute else 0,
        )


class RunValue(Value):
    """One life of a batch; ``reason`` says why it failed, ``last_seq`` where it ended."""

    run: int
    status: BatchStatus
    source: str
    started_at: Time
    ended_at: Time | None
    first_seq: int
    last_seq: int | None
    reason: str | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """The value of a run."""
        return cls(
            run=run.number,
            status=run.status,
            source=run.source,
            started_at=run.started_at,
            ended_at=run.ended_at,
            first_seq=run.first_seq,
            last_seq=run.last_seq,
            reason=run.reason,
        )


class BatchValue(Value):
    """A batch as its latest run left it; ``run`` counts its lives."""

    batch_id: str
    status: BatchStatus
    source: str
    run: int
    started_at: Time
    ended_at: Time | None
    reason: str | None
    row_count: Count

    @classmethod
    def of(cls, batch: Batch, service: BatchService, **more: Any) -> Self:
        """The value of a batch as it stands now."""
        return cls(
            batch_id=batch.batch_id,
            status=batch.status,
            source=batch.run.source,
            run=batch.run.number,
            started_at=batch.run.started_at,
            ended_at=batch.run.ended_at,
            reason=batch.run.reason,
            row_count=service.row_count(batch),
            **more,
        )


class BatchWithRuns(BatchValue):
    """A batch with all its runs, the latest first."""

    runs: list[RunValue]


class Batches(Value):
    """A page of batches, newest first; ``next`` is the address of the page after it."""

    batches: list[BatchValue]
    total: Count
    next: str | None


class Points(Value):
    """Points in order; ``next`` is the address of those after them, null when there are none."""

    batch_id: str
    points: list[PointValue]
    next: str | None


class MinuteValue(Value):
    """The points of one minute; ``minute`` is its first instant."""

    minute: Time
    count: Count
    sum: Number
    average: Number
    min: Number
    max: Number

    @classmethod
    def of(cls, minute: MinuteAggregate) -> Self:
        """The value of an aggregate."""
        return cls(
            minute=minute.minute,
            count=minute.count,
            sum=minute.sum,
            average=minute.average,
            min=minute.min,
            max=minute.max,
        )


class Minutes(Value):
    """The minutes that have points within ``from <= minute < to``, oldest first."""

    batch_id: str
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    minutes: list[MinuteValue]
