"""The query parameters and JSON objects of the API as pydantic models."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from solo_app.batches.models import (
    LAST_SEQ,
    Aggregate,
    Batch,
    BatchStatus,
    FileFormat,
    Point,
    format_number,
)
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import DEFAULT_SOURCE

_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?")


def to_iso(moment: datetime, timespec: str = "auto") -> str:
    """Format a naive UTC time as ISO 8601 with ``Z``."""
    return moment.isoformat(timespec=timespec) + "Z"


def parse_time(text: object) -> datetime:
    """Parse a time in the extended format of ISO 8601 as naive UTC.

    A date, ``T`` or a space, a time, and ``Z``, an offset or nothing for UTC. Raises ValueError for
    anything else, including a date without a time.
    """
    # An unescaped "+" in a URL is decoded as a space.
    text = re.sub(r"(:\d\d(?:[.,]\d+)?) (\d\d:?\d\d)$", r"\1+\2", str(text))
    try:
        if not _ISO_8601.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError("use a time in ISO 8601, such as 2012-11-11T10:11:10Z") from None


def parse_whole_number(text: object) -> object:
    """Reject other formats that pydantic accepts as whole numbers, such as ``1_0`` and ``5.0``.

    Raises ValueError.
    """
    if isinstance(text, str) and not re.fullmatch("-?[0-9]+", text):
        raise ValueError("use a whole number, such as 10")
    return text


def _to_number(value: float) -> int | float | None:
    """Return the number that ``json.dumps`` renders as ``format_number`` does.

    An infinite sum becomes None, because JSON has no infinity.
    """
    return json.loads(format_number(value)) if math.isfinite(value) else None


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

Time = Annotated[datetime, PlainSerializer(to_iso, return_type=str), _TIME_SCHEMA]
TimeParameter = Annotated[datetime, BeforeValidator(parse_time), _TIME_SCHEMA]
Number = Annotated[
    float,
    PlainSerializer(_to_number, return_type=int | float | None),
    WithJsonSchema({"type": "number"}),
]
Count = Annotated[int, Field(ge=0)]
WholeNumber = BeforeValidator(parse_whole_number)
Seq = Annotated[
    Annotated[int, Field(ge=0, le=LAST_SEQ)] | None,
    BeforeValidator(lambda text: parse_whole_number(text) if text != "" else None),
    # Not nullable: a client without a seq omits the parameter.
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": LAST_SEQ}),
]
"""A ``seq`` in a request. An empty value means missing."""


class NoParameters(BaseModel):
    """Base of all query parameters. Unknown ones are errors; ``_`` is ignored.

    Some libraries add ``_`` with a random value to bypass caches.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _ignore_cache_buster(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name != "_"}


class StreamParameters(NoParameters):
    """Where a stream resumes."""

    after: Seq = Field(None, description="only points with a higher seq")
    last_event_id: Seq = Field(
        None,
        alias="lastEventId",
        description="like `Last-Event-ID`, for clients that cannot set headers",
    )


class AggregateParameters(NoParameters):
    """The time of an aggregate."""

    at: TimeParameter | None = Field(None, description="compute the result as of this time")


class PageParameters(NoParameters):
    """A page of a list."""

    offset: Annotated[int, Field(ge=0, le=LAST_SEQ), WholeNumber] = 0
    limit: Annotated[int, Field(ge=1, le=1_000), WholeNumber] = 100


class BatchesParameters(PageParameters):
    """A page of batches, optionally filtered by status."""

    status: BatchStatus | None = None


class PointsParameters(NoParameters):
    """Consecutive points."""

    after: Seq = Field(None, description="only points with a higher seq")
    limit: Annotated[int, Field(ge=1, le=10_000), WholeNumber] = 1_000


class MinutesParameters(NoParameters):
    """A range of minutes."""

    start: TimeParameter | None = Field(
        None, alias="from", description="default: an hour before `to`"
    )
    end: TimeParameter | None = Field(
        None, alias="to", description="default: now, truncated to the minute"
    )


class DownloadParameters(NoParameters):
    """The format and the range of a download."""

    file_format: FileFormat = Field(FileFormat.CSV, alias="format")
    start: TimeParameter | None = Field(None, alias="from", description="default: the first point")
    end: TimeParameter | None = Field(
        None, alias="to", description="exclusive; default: the last point"
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError("`from` must be before `to`")
        return self


class Schema(BaseModel):
    """Base of all JSON objects. Unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, from_attributes=True)


class StartRequest(Schema):
    """The configuration of a run."""

    source: str = DEFAULT_SOURCE


class Message(Schema):
    """The confirmation of an action on a batch."""

    message: str
    batch_id: str


class Overall(Schema):
    """The overall data.

    ``write_error`` and ``archive_error`` are the reasons why points currently cannot be committed
    or archived.
    """

    row_count: Count
    task_count: Count
    task_limit: Count = BATCH_LIMIT
    rows_per_second: Number
    batch_count: Count
    write_error: str | None
    archive_error: str | None


class PointData(Schema):
    """The payload of a point."""

    key: Number


class PointValue(Schema):
    """One produced value."""

    seq: int
    ts: Annotated[
        datetime,
        PlainSerializer(lambda ts: to_iso(ts, "microseconds"), return_type=str),
        _TIME_SCHEMA,
    ]
    data: PointData

    @classmethod
    def of(cls, point: Point) -> Self:
        """Return the JSON object of a point."""
        return cls(seq=point.seq, ts=point.ts, data=PointData(key=point.key))


def point_json(point: Point) -> str:
    """Format a point like ``PointValue``, but faster: responses contain up to 10 000 points."""
    ts, key = to_iso(point.ts, "microseconds"), format_number(point.key)
    return f'{{"seq": {point.seq}, "ts": "{ts}", "data": {{"key": {key}}}}}'


class _BatchFields(Schema):
    batch_id: str
    status: BatchStatus
    source: str
    run: int
    started_at: Time
    row_count: Count

    @classmethod
    def of(cls, batch: Batch, service: BatchService, **fields: Any) -> Self:
        """Return the JSON object of a batch; ``fields`` are the fields of the subclass."""
        return cls(
            batch_id=batch.batch_id,
            status=batch.status,
            source=batch.run.source,
            run=batch.run.number,
            started_at=batch.run.started_at,
            row_count=service.row_count(batch),
            **fields,
        )


class Task(_BatchFields):
    """A running batch. ``run`` is the number of its run, ``latest`` its latest committed point."""

    rows_per_second: Number
    latest: PointValue | None


class Tasks(Schema):
    """The running batches, in start order."""

    tasks: list[Task]


class BatchValue(_BatchFields):
    """A batch with the outcome of its latest run."""

    ended_at: Time | None
    reason: str | None


class Batches(Schema):
    """A page of batches, latest start first. ``next`` is the URL of the next page."""

    batches: list[BatchValue]
    total: Count
    next: str | None


class RunValue(Schema):
    """One execution of a batch. ``reason`` is why it failed, ``last_seq`` its last point."""

    run: int = Field(validation_alias="number")
    status: BatchStatus
    source: str
    started_at: Time
    ended_at: Time | None
    first_seq: int
    last_seq: int | None
    reason: str | None


class BatchWithRuns(BatchValue):
    """A batch with its latest runs, newest first; ``/batches/{batch_id}/runs`` lists all."""

    runs: list[RunValue]


class Runs(Schema):
    """A page of the runs of a batch, newest first. ``next`` is the URL of the next page."""

    batch_id: str
    runs: list[RunValue]
    total: Count
    next: str | None


class Points(Schema):
    """Points in order of seq. ``next`` is the URL of the next page."""

    batch_id: str
    points: list[PointValue]
    next: str | None


class AggregateValue(Schema):
    """The aggregate of points with ``from <= ts < to``. ``average`` is null without points."""

    batch_id: str
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    average: Number | None
    sum: Number
    count: Count

    @classmethod
    def of(cls, aggregate: Aggregate) -> Self:
        """Return the JSON object of an aggregate."""
        minute, window = aggregate.minute, aggregate.window
        return cls(
            batch_id=aggregate.batch_id,
            start=window.start,
            end=window.end,
            average=minute.average if minute else None,
            sum=minute.sum if minute else 0.0,
            count=minute.count if minute else 0,
        )


class MinuteValue(Schema):
    """The aggregate of one minute; ``minute`` is its first instant."""

    minute: Time
    count: Count
    sum: Number
    average: Number
    min: Number
    max: Number


class Minutes(Schema):
    """The minutes with points and ``from <= minute < to``, oldest first."""

    batch_id: str
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    minutes: list[MinuteValue]
