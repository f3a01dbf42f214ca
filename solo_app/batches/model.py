"""The values of the domain.

Times are naive UTC throughout; a minute is named by its first instant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Clock = Callable[[], datetime]
"""Tells the present moment as naive UTC. Whoever needs *now* is given one."""

EPOCH = datetime(1970, 1, 1)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)

LAST_SEQ = 2**63 - 1
"""No point has a higher ``seq``."""


def utc_now() -> datetime:
    """The system's clock as naive UTC, in microseconds."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01 of a naive UTC time."""
    return (moment - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The naive UTC time so many microseconds after 1970-01-01."""
    return EPOCH + timedelta(microseconds=microseconds)


def format_number(value: float) -> str:
    """A finite number as JSON and CSV text: a whole one below 1e15 without a fraction, any other
    as its ``repr``."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


class BatchStatus(StrEnum):
    """How the latest run of a batch stands."""

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
class Block:
    """Consecutive points of one batch as columns of equal length.

    ``ts`` in microseconds since 1970 UTC; the first point has ``seq`` ``first_seq``.
    """

    batch_no: int
    first_seq: int
    ts: NDArray[np.int64]
    key: NDArray[np.float64]

    @property
    def last_seq(self) -> int:
        """The ``seq`` of the last point."""
        return self.first_seq + len(self.ts) - 1

    def points(self, after: int = 0) -> Iterator[Point]:
        """The points with ``seq > after``, in order."""
        skip = max(0, after + 1 - self.first_seq)
        columns = zip(self.ts[skip:].tolist(), self.key[skip:].tolist(), strict=True)
        for seq, (ts, key) in enumerate(columns, self.first_seq + skip):
            yield Point(seq, from_microseconds(ts), key)


@dataclass(frozen=True, slots=True)
class MinuteAggregate:
    """What the points of one minute of one batch come to; ``count`` is never 0."""

    minute: datetime
    count: int
    sum: float
    min: float
    max: float

    @property
    def average(self) -> float:
        """Arithmetic mean of ``data.key`` over the minute."""
        return self.sum / self.count

    def merged_with(self, other: MinuteAggregate) -> MinuteAggregate:
        """The aggregate over both sets of points; both must be of the same minute."""
        return MinuteAggregate(
            self.minute,
            self.count + other.count,
            self.sum + other.sum,
            min(self.min, other.min),
            max(self.max, other.max),
        )


@dataclass(frozen=True, slots=True)
class BatchCounter:
    """The points of a batch: how many are stored, and the highest ``seq`` ever assigned.

    They differ only in a database of which an earlier release lost points in a repair.
    """

    row_count: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class StoredMinutes:
    """Aggregates by batch number, and counters of exactly the points that they include."""

    counters: dict[int, BatchCounter]
    minutes: dict[int, list[MinuteAggregate]]


STEP_US = 250_000
"""Microseconds that a step of a batch's line lasts."""


class Vertex(NamedTuple):
    """A point that a batch's line is drawn through; ``ts`` in microseconds since 1970."""

    key: float
    seq: int
    ts: int


@dataclass(frozen=True, slots=True)
class Step:
    """The points of one step of a batch's line: how many, and their lowest and highest.

    ``number`` counts steps since 1970. Of two points, ``low`` and ``high`` are both of them.
    """

    number: int
    count: int
    last_seq: int
    low: Vertex
    high: Vertex

    @property
    def vertices(self) -> tuple[Vertex, ...]:
        """What the line is drawn through, in order of ``seq``: one vertex or two."""
        low, high = self.low, self.high
        if low.seq == high.seq:
            return (low,)
        return (low, high) if low.seq < high.seq else (high, low)

    def merged_with(self, other: Step) -> Step:
        """The step of both sets of points; both must be of the same step."""
        return Step(
            self.number,
            self.count + other.count,
            max(self.last_seq, other.last_seq),
            min(self.low, other.low),
            max(self.high, other.high),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One life of a batch. Its points are those with ``first_seq <= seq <= last_seq``.

    ``last_seq`` is ``first_seq - 1`` for a run that produced nothing; both it and
    ``ended_at`` are None while the run goes on. ``number`` counts from 1 within the batch.
    """

    number: int
    source: str
    status: BatchStatus
    started_at: datetime
    first_seq: int
    ended_at: datetime | None = None
    last_seq: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A named background job as its latest run left it. ``no`` is its key in the database."""

    no: int
    batch_id: str
    run: Run = field(hash=False)  # The number tells batches apart.

    @property
    def status(self) -> BatchStatus:
        """The status of the latest run."""
        return self.run.status

    @property
    def is_running(self) -> bool:
        """Whether a producer carries out its latest run."""
        return self.run.status is BatchStatus.RUNNING


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time, ``start <= ts < end``, cut at whole minutes."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """The overall data.

    ``write_error`` is the reason why points cannot be written, ``archive_error`` the reason why
    old points cannot be archived; None while that works.
    """

    row_count: int
    rows_per_second: float
    running: int
    batches: int
    write_error: str | None
    archive_error: str | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The points of one batch within a window; ``minute`` is None when there are none."""

    batch_id: str
    window: Window
    minute: MinuteAggregate | None


class FileFormat(StrEnum):
    """What points can be downloaded as; the value is the ending of the file's name too."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Selection:
    """Points of one batch: those with ``seq <= last_seq`` and ``start <= ts < end``."""

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
    """A file piece by piece; ``size`` in bytes where it is known before the end."""

    pieces: AsyncIterator[bytes]
    size: int | None = None
