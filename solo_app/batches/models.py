"""Domain values. All times are naive UTC; a minute is identified by its first instant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Clock = Callable[[], datetime]
"""Returns the current time as naive UTC."""

EPOCH = datetime(1970, 1, 1)
MINUTE = timedelta(minutes=1)
MINUTE_US = 60_000_000
MICROSECOND = timedelta(microseconds=1)

MAX_SEQ = 2**63 - 1
"""The highest possible ``seq``."""


def utc_now() -> datetime:
    """Return the system time as naive UTC, in microseconds."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_microseconds(time: datetime) -> int:
    """Convert a naive UTC time to microseconds since 1970-01-01."""
    return (time - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Convert microseconds since 1970-01-01 to a naive UTC time."""
    return EPOCH + timedelta(microseconds=microseconds)


def format_number(value: float) -> str:
    """Format a finite number for JSON and CSV: whole numbers below 1e15 without a fraction, all
    others as their ``repr``."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


class BatchStatus(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Point:
    """One produced value. ``ts`` is naive UTC; ``seq`` counts from 1 within its batch."""

    seq: int
    ts: datetime
    key: float


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Identifies a push that a client may repeat. ``body_hash`` is the hash of its body."""

    key: str
    body_hash: str


RECEIPT_LIFETIME = timedelta(hours=24)
"""Time for which a push with an idempotency key can be repeated."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The points that were stored for a push with an idempotency key."""

    key: IdempotencyKey
    created_at: datetime
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive points of one batch as columns of equal length.

    ``ts`` is in microseconds since 1970 UTC; ``first_seq`` is the ``seq`` of the first point.
    ``receipts`` are stored together with the points.
    """

    batch_no: int
    first_seq: int
    ts: NDArray[np.int64]
    key: NDArray[np.float64]
    receipts: tuple[Receipt, ...] = ()

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.ts) - 1

    def points(self, after: int = 0) -> Iterator[Point]:
        """Yield the points with ``seq > after``, in order."""
        skip = max(0, after + 1 - self.first_seq)
        columns = zip(self.ts[skip:].tolist(), self.key[skip:].tolist(), strict=True)
        for seq, (ts, key) in enumerate(columns, self.first_seq + skip):
            yield Point(seq, from_microseconds(ts), key)


@dataclass(frozen=True, slots=True)
class MinuteAggregate:
    """The aggregate of one minute of one batch; ``count`` is never 0."""

    minute: datetime
    count: int
    sum: float
    min: float
    max: float

    @property
    def average(self) -> float:
        return self.sum / self.count

    def merged_with(self, other: MinuteAggregate) -> MinuteAggregate:
        """Return the aggregate of the points of both; they must be of the same minute."""
        return MinuteAggregate(
            self.minute,
            self.count + other.count,
            self.sum + other.sum,
            min(self.min, other.min),
            max(self.max, other.max),
        )


@dataclass(frozen=True, slots=True)
class BatchCounter:
    """The number of stored points of a batch and its last ``seq``.

    They differ only in databases in which an earlier version repaired a loss of points.
    """

    row_count: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class StoredMinutes:
    """Aggregates by batch number, and the counters of the points that they include."""

    counters: dict[int, BatchCounter]
    minutes: dict[int, list[MinuteAggregate]]


BUCKET_US = 250_000
"""Duration of a bucket in microseconds."""


class Extreme(NamedTuple):
    """A point with the lowest or highest ``key`` of a bucket. ``ts`` is in microseconds since 1970.

    Extremes are ordered by ``key``, then by ``seq``.
    """

    key: float
    seq: int
    ts: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The points of one run in one bucket of time: their number, the lowest and the highest.

    ``number`` counts buckets since 1970. Of two points, one is ``min`` and the other ``max``.
    """

    number: int
    run_number: int
    count: int
    min: Extreme
    max: Extreme

    @property
    def points(self) -> tuple[Extreme, ...]:
        """The one or two points to draw, in order of time."""
        low, high = self.min, self.max
        if low.seq == high.seq:
            return (low,)
        return (low, high) if (low.ts, low.seq) < (high.ts, high.seq) else (high, low)

    def merged_with(self, other: Bucket) -> Bucket:
        """Return the bucket of the points of both; they must have the same number and run."""
        return Bucket(
            self.number,
            self.run_number,
            self.count + other.count,
            min(self.min, other.min),
            max(self.max, other.max),
        )


class RestartPolicy(StrEnum):
    """Whether a source that raises is restarted within the same run."""

    NEVER = "never"
    ON_FAILURE = "on-failure"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a batch. Its points have ``first_seq <= seq <= last_seq``.

    ``parameters`` contains only those that the caller specified; the source has defaults for the
    others.

    ``last_seq`` is ``first_seq - 1`` if the run produced no points. ``last_seq`` and ``ended_at``
    are None while the run is active. ``number`` counts from 1 within the batch.
    """

    number: int
    source: str
    status: BatchStatus
    started_at: datetime
    first_seq: int
    ended_at: datetime | None = None
    last_seq: int | None = None
    reason: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    restart: RestartPolicy = RestartPolicy.NEVER


@dataclass(frozen=True, slots=True)
class Labels:
    """The unit of the values of a batch, such as ``°C``, and its description. Both can be empty."""

    unit: str = ""
    description: str = ""


NO_LABELS = Labels()


@dataclass(frozen=True, slots=True)
class Batch:
    """A named background job with its latest run. ``no`` is its key in the store."""

    no: int
    batch_id: str
    run: Run
    labels: Labels = NO_LABELS

    @property
    def status(self) -> BatchStatus:
        return self.run.status

    @property
    def is_running(self) -> bool:
        return self.run.status is BatchStatus.RUNNING


@dataclass(frozen=True, slots=True)
class Retry:
    """The next restart of a source that raised, or the current one.

    ``attempt`` counts from 1. ``next_at`` is in the past while the source has been restarted but
    has not returned a number yet. ``error`` is why the source raised.
    """

    attempt: int
    next_at: datetime
    error: str


LOG_LINES = 500
"""Number of lines in the log of a batch. Older lines are deleted."""


class LogLevel(StrEnum):
    """``output`` comes from the source; the service adds the others."""

    INFO = "info"
    ERROR = "error"
    RETRY = "retry"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line in the log of a batch. ``number`` counts from 1 within the batch, across runs."""

    number: int
    ts: datetime
    run: int
    level: LogLevel
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open time range, ``start <= ts < end``, aligned to the minute."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of all batches.

    ``write_error`` is why points cannot be written, ``archive_error`` why old points cannot be
    archived; None if there is no error.
    """

    row_count: int
    rows_per_second: float
    running_count: int
    batch_count: int
    write_error: str | None
    archive_error: str | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The aggregate of a batch over a window; ``minute`` is None if there are no points."""

    batch_id: str
    window: Window
    minute: MinuteAggregate | None


class FileFormat(StrEnum):
    """The formats of a download; the value is also the file extension."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Selection:
    """The points of one batch with ``seq <= last_seq`` and ``start <= ts < end``."""

    batch_no: int
    last_seq: int
    start: datetime = datetime.min
    end: datetime = datetime.max


@dataclass(frozen=True, slots=True)
class Span:
    """The points of a batch with ``first_seq <= seq <= last_seq``."""

    batch_no: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Download:
    """A file as chunks of bytes. ``size`` is None if it is not known in advance."""

    chunks: AsyncIterator[bytes]
    size: int | None = None
