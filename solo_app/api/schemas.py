"""The JSON objects of requests and responses."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, WithJsonSchema

from solo_app.batches import models
from solo_app.batches.labels import LABEL_PATTERN, MAX_DESCRIPTION_LENGTH, MAX_UNIT_LENGTH
from solo_app.batches.models import BatchStatus, LogLevel, RestartPolicy
from solo_app.batches.producer import Producer
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.batches.source import DeclaredSource, SourceKind


def to_iso(moment: datetime, timespec: str = "auto") -> str:
    """Format a naive UTC time as ISO 8601 with ``Z``."""
    return moment.isoformat(timespec=timespec) + "Z"


def _to_number(value: float) -> int | float | None:
    """Return the number that ``json.dumps`` renders as ``format_number`` does.

    An infinite sum becomes None, because JSON has no infinity.
    """
    return json.loads(models.format_number(value)) if math.isfinite(value) else None


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

Time = Annotated[datetime, PlainSerializer(to_iso, return_type=str), _TIME_SCHEMA]
Timestamp = Annotated[
    datetime,
    PlainSerializer(lambda ts: to_iso(ts, "microseconds"), return_type=str),
    _TIME_SCHEMA,
]
Number = Annotated[
    float,
    PlainSerializer(_to_number, return_type=int | float | None),
    WithJsonSchema({"type": "number"}),
]
NumberOrNull = Annotated[
    float,
    PlainSerializer(_to_number, return_type=int | float | None),
    WithJsonSchema({"type": ["number", "null"]}),
]
"""A number, or null if it is beyond the range of a double."""
Count = Annotated[int, Field(ge=0)]


class Schema(BaseModel):
    """Base of all JSON objects. Unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, from_attributes=True)


def _label(max_length: int, description: str) -> Any:
    """Return a field that is validated by ``change_labels``."""
    limits: dict[str, JsonValue] = {"maxLength": max_length, "pattern": LABEL_PATTERN}
    return Field(None, description=description, json_schema_extra=limits)


class StartRequest(Schema):
    """The configuration of a run.

    Without `source`, the run has the source of the latest run, with its parameters and restart
    policy unless they are specified. The first run of a batch has the source `random`.
    """

    source: str | None = None
    parameters: dict[str, Any] | None = Field(
        None, description="see the JSON Schema of the source in `/sources`"
    )
    restart: RestartPolicy | None = None
    unit: str | None = _label(MAX_UNIT_LENGTH, "unit of the values")
    description: str | None = _label(MAX_DESCRIPTION_LENGTH, "description of the batch")


class Source(Schema):
    """A source kind, or a source declared in `solo.toml`, which has no parameters.

    ``kind`` is the name of the kind. ``restart`` is the default, ``parameters`` a JSON Schema.
    """

    name: str
    kind: str
    description: str
    restart: RestartPolicy
    parameters: dict[str, Any]

    @classmethod
    def from_kind(cls, kind: SourceKind) -> Self:
        return cls(
            name=kind.name,
            kind=kind.kind if isinstance(kind, DeclaredSource) else kind.name,
            description=kind.description,
            restart=kind.restart,
            parameters=kind.parameters.model_json_schema(),
        )


class Sources(Schema):
    """The available source kinds and declared sources."""

    sources: list[Source]


class LabelsRequest(Schema):
    """New labels of a batch.

    A missing label remains unchanged; an empty string or null removes it.
    """

    unit: str | None = _label(MAX_UNIT_LENGTH, "unit of the values")
    description: str | None = _label(MAX_DESCRIPTION_LENGTH, "description of the batch")

    def labels(self) -> dict[str, str]:
        """Return the labels to change."""
        return {name: text or "" for name, text in self.model_dump(exclude_unset=True).items()}


class Message(Schema):
    """The confirmation of an action on a batch."""

    message: str
    batch_id: str


class Totals(Schema):
    """Totals of all batches.

    ``write_error`` and ``archive_error`` are the reasons why points currently cannot be committed
    or archived.
    """

    row_count: Count
    task_count: Count = Field(validation_alias="running_count")
    task_limit: Count = BATCH_LIMIT
    rows_per_second: Number
    batch_count: Count
    write_error: str | None
    archive_error: str | None


class PointData(Schema):
    """The payload of a point."""

    key: Number


class Point(Schema):
    """One produced value."""

    seq: int
    ts: Timestamp
    data: PointData

    @classmethod
    def from_point(cls, point: models.Point) -> Self:
        return cls(seq=point.seq, ts=point.ts, data=PointData(key=point.key))


def point_json(point: models.Point) -> str:
    """Format a point like ``Point``, but faster: responses contain up to 10,000 points."""
    ts, key = to_iso(point.ts, "microseconds"), models.format_number(point.key)
    return f'{{"seq": {point.seq}, "ts": "{ts}", "data": {{"key": {key}}}}}'


class Retry(Schema):
    """The next restart of a source that raised; null once the source returns numbers again.

    ``attempt`` counts from 1. ``error`` is why the source raised.
    """

    attempt: int
    next_at: Time
    error: str


EffectiveParameters = Annotated[
    dict[str, Any], Field(description="including the current defaults of the source")
]


class _BatchFields(Schema):
    batch_id: str
    unit: str
    description: str
    status: BatchStatus
    source: str
    parameters: EffectiveParameters
    restart: RestartPolicy
    run: int
    started_at: Time
    row_count: Count
    retry: Retry | None

    @classmethod
    def from_batch(cls, batch: models.Batch, service: BatchService, **fields: Any) -> Self:
        """Return the JSON object of a batch; ``fields`` are the fields of the subclass."""
        producer = service.producer(batch)
        run, labels = batch.run, batch.labels
        return cls(
            batch_id=batch.batch_id,
            unit=labels.unit,
            description=labels.description,
            status=batch.status,
            source=run.source,
            parameters=service.parameters(run),
            restart=run.restart,
            run=run.number,
            started_at=run.started_at,
            row_count=service.row_count(batch),
            retry=producer and producer.retry and Retry.model_validate(producer.retry),
            **fields,
        )


class Task(_BatchFields):
    """A running batch. ``run`` is the number of its current run, ``latest`` its last point."""

    rows_per_second: Number
    latest: Point | None

    @classmethod
    def from_producer(cls, producer: Producer, service: BatchService) -> Self:
        latest = producer.points.latest
        return cls.from_batch(
            producer.batch,
            service,
            rows_per_second=producer.rate.per_second,
            latest=latest and Point.from_point(latest),
        )


class Tasks(Schema):
    """The running batches, in start order."""

    tasks: list[Task]


class Batch(_BatchFields):
    """A batch with the outcome of its latest run. ``reason`` is why that run failed."""

    ended_at: Time | None
    reason: str | None

    @classmethod
    def from_batch(cls, batch: models.Batch, service: BatchService, **fields: Any) -> Self:
        ended_at, reason = batch.run.ended_at, batch.run.reason
        return super().from_batch(batch, service, ended_at=ended_at, reason=reason, **fields)


class Batches(Schema):
    """A page of batches, most recent start first. ``next`` is the URL of the next page."""

    batches: list[Batch]
    total: Count
    next: str | None


class Run(Schema):
    """One execution of a batch. ``reason`` is why it failed, ``last_seq`` its last point."""

    run: int
    status: BatchStatus
    source: str
    parameters: EffectiveParameters
    restart: RestartPolicy
    started_at: Time
    ended_at: Time | None
    first_seq: int
    last_seq: int | None
    reason: str | None

    @classmethod
    def from_run(cls, run: models.Run, service: BatchService) -> Self:
        return cls(
            run=run.number,
            status=run.status,
            source=run.source,
            parameters=service.parameters(run),
            restart=run.restart,
            started_at=run.started_at,
            ended_at=run.ended_at,
            first_seq=run.first_seq,
            last_seq=run.last_seq,
            reason=run.reason,
        )


class BatchWithRuns(Batch):
    """A batch with its latest runs, newest first; ``/batches/{batch_id}/runs`` lists all."""

    runs: list[Run]


class Runs(Schema):
    """A page of the runs of a batch, newest first. ``next`` is the URL of the next page."""

    batch_id: str
    runs: list[Run]
    total: Count
    next: str | None


class LogLine(Schema):
    """A line in the log of a batch. ``number`` counts from 1 within the batch, across runs."""

    number: int
    ts: Timestamp
    run: int
    level: LogLevel
    text: str


class Log(Schema):
    """The latest lines of the log of a batch, in order."""

    batch_id: str
    lines: list[LogLine]


class Points(Schema):
    """Points in order of seq. ``next`` is the URL of the next page."""

    batch_id: str
    points: list[Point]
    next: str | None


class PushedPoints(Schema):
    """Stored points. Other clients can have stored points between the first and the last."""

    batch_id: str
    first_seq: int
    last_seq: int
    count: Count


class Aggregate(Schema):
    """The aggregate of points with ``from <= ts < to``. ``average`` is null without points."""

    batch_id: str
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    average: NumberOrNull | None
    sum: NumberOrNull
    count: Count

    @classmethod
    def from_aggregate(cls, aggregate: models.Aggregate) -> Self:
        minute, window = aggregate.minute, aggregate.window
        return cls(
            batch_id=aggregate.batch_id,
            start=window.start,
            end=window.end,
            average=minute.average if minute else None,
            sum=minute.sum if minute else 0.0,
            count=minute.count if minute else 0,
        )


class Minute(Schema):
    """The aggregate of one minute; ``minute`` is its start."""

    minute: Time
    count: Count
    sum: NumberOrNull
    average: NumberOrNull
    min: Number
    max: Number


class Minutes(Schema):
    """The minutes with points and ``from <= minute < to``, oldest first."""

    batch_id: str
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    minutes: list[Minute]
