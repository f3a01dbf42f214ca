"""The query parameters of the API: names, types, limits and parsing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from solo_app.batches.errors import WindowOutOfRangeError
from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import LOG_LINES, MAX_SEQ, MINUTE, BatchStatus, FileFormat, Window

MAX_MINUTES_RANGE = timedelta(days=31)

_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?")


def parse_time(text: object) -> datetime:
    """Parse a time in the extended format of ISO 8601 as naive UTC.

    Accepts a date and a time, separated by ``T`` or a space, with ``Z`` or an offset; the default
    is UTC. Raises ValueError for anything else, including a date without a time.
    """
    # An unescaped "+" in a URL is decoded as a space.
    text = re.sub(r"(:\d\d(?:[.,]\d+)?) (\d\d:?\d\d)$", r"\1+\2", str(text))
    try:
        if not _ISO_8601.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError("use an ISO 8601 time, such as 2012-11-11T10:11:10Z") from None


def parse_whole_number(text: object) -> object:
    """Reject other formats that pydantic accepts as whole numbers, such as ``1_0`` and ``5.0``.

    Raises ValueError.
    """
    if isinstance(text, str) and not re.fullmatch("-?[0-9]+", text):
        raise ValueError("use a whole number, such as 10")
    return text


Time = Annotated[
    datetime,
    BeforeValidator(parse_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
WholeNumber = BeforeValidator(parse_whole_number)
Seq = Annotated[
    Annotated[int, Field(ge=0, le=MAX_SEQ)] | None,
    BeforeValidator(lambda text: parse_whole_number(text) if text != "" else None),
    # Not nullable: a client without a seq omits the parameter.
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_SEQ}),
]
"""A ``seq``. An empty value means missing."""


class NoParameters(BaseModel):
    """Base of all query parameters. Unknown parameters are rejected; ``_`` is ignored.

    Some libraries add ``_`` with a random value to bypass caches.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _ignore_cache_buster(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name != "_"}


class StreamParameters(NoParameters):
    after: Seq = Field(None, description="only points with a higher seq")
    last_event_id: Seq = Field(
        None,
        alias="lastEventId",
        description="like `Last-Event-ID`, for clients that cannot set headers",
    )


class AggregateParameters(NoParameters):
    at: Time | None = Field(None, description="compute the result as of this time; default: now")


class PageParameters(NoParameters):
    """A page of a list."""

    offset: Annotated[int, Field(ge=0, le=MAX_SEQ), WholeNumber] = 0
    limit: Annotated[int, Field(ge=1, le=1_000), WholeNumber] = 100

    def next_page(self, path: str, total: int) -> str | None:
        """Return the URL of the next page of a list with ``total`` items; None after the last."""
        offset = self.offset + self.limit
        if offset >= total:
            return None
        parameters = self.model_dump(mode="json", exclude_none=True) | {"offset": offset}
        return f"{path}?{urlencode(parameters)}"


class BatchesParameters(PageParameters):
    status: BatchStatus | None = Field(None, description="only batches with this status")


class PointsParameters(NoParameters):
    after: Seq = Field(None, description="only points with a higher seq")
    limit: Annotated[int, Field(ge=1, le=10_000), WholeNumber] = 1_000


class LogParameters(NoParameters):
    after: Seq = Field(None, description="only lines with a higher number")
    limit: Annotated[int, Field(ge=1, le=LOG_LINES), WholeNumber] = LOG_LINES


class MinutesParameters(NoParameters):
    start: Time | None = Field(None, alias="from", description="default: an hour before `to`")
    end: Time | None = Field(
        None, alias="to", description="exclusive; default: now, truncated to the minute"
    )

    def window(self, now: datetime) -> Window:
        """Return the full minutes of the range; ``now`` is naive UTC.

        Raises WindowOutOfRangeError.
        """
        end = start_of_minute(self.end or now)
        try:
            start = start_of_minute(self.start) if self.start else end - 60 * MINUTE
        except OverflowError:
            raise WindowOutOfRangeError("The hour before that time is out of range.") from None
        if start >= end:
            raise WindowOutOfRangeError("`from` must be at least one full minute before `to`.")
        if end - start > MAX_MINUTES_RANGE:
            raise WindowOutOfRangeError(
                f"The range is longer than {MAX_MINUTES_RANGE.days} days. Request a shorter one."
            )
        return Window(start, end)


class DownloadParameters(NoParameters):
    file_format: FileFormat = Field(FileFormat.CSV, alias="format")
    start: Time | None = Field(None, alias="from", description="default: the first point")
    end: Time | None = Field(None, alias="to", description="exclusive; default: the last point")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError("`from` must be before `to`")
        return self
