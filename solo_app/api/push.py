"""Pushed points in request bodies: a JSON document, or NDJSON (one JSON value per line).

A JSON document is stored atomically. NDJSON is parsed, stored and discarded in parts, so that its
length is not limited.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive

from solo_app.api.bodies import media_type
from solo_app.api.problems import error_response, problem
from solo_app.api.schemas import PushedPoints
from solo_app.batches.errors import SoloError
from solo_app.batches.ingest import MAX_POINTS_PER_APPEND
from solo_app.batches.models import IdempotencyKey
from solo_app.batches.push import MAX_POINTS, Push, PushResult
from solo_app.batches.service import BatchService

NDJSON = "application/x-ndjson"
JSON = "application/json"

_JSON_TYPES = {JSON, "application/x-www-form-urlencoded", ""}
"""``curl -d`` sends the second by default. Some clients send no content type."""

MAX_LINE_BYTES = 65_536

_MAX_INLINE_BYTES = 4_096
"""Larger texts are parsed in a thread, because parsing them would delay all other requests."""

_DISCARD_SECONDS = 0.3
"""Time to read the rest of a body after an error. Enough for 100 MB from the same machine."""

_parser = ThreadPoolExecutor(1, thread_name_prefix="push-parser")
"""One thread: more would compete with the event loop for the interpreter lock."""

T = TypeVar("T")

_Key = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class PointObject(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: _Key


Point = _Key | PointObject

_POINT: TypeAdapter[float | PointObject] = TypeAdapter(Point)
_POINTS: TypeAdapter[list[float | PointObject]] = TypeAdapter(
    Annotated[list[Point], Field(min_length=1, max_length=MAX_POINTS), FailFast()]
)

_EXPECTED = 'is not a finite number or {"key": number}'

_POINT_SCHEMA = {
    "anyOf": [
        {"type": "number"},
        {
            "type": "object",
            "properties": {"key": {"type": "number"}},
            "required": ["key"],
            "additionalProperties": False,
        },
    ]
}
_POINTS_SCHEMA = {"type": "array", "items": _POINT_SCHEMA, "minItems": 1}

REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {"anyOf": [_POINT_SCHEMA, {**_POINTS_SCHEMA, "maxItems": MAX_POINTS}]},
                "example": 21.5,
            },
            # OpenAPI describes a sequence of JSON values as an array.
            NDJSON: {"schema": _POINTS_SCHEMA},
        },
    }
}
"""The request body in the OpenAPI document."""


class InvalidBodyError(Exception):
    """The body is not what the API expects. ``members`` locate the error."""

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members


async def push_response(
    request: Request, service: BatchService, batch_id: str, key: str | None
) -> Response:
    """Store the points in the body of a request. Raises SoloError."""
    if len(request.headers.getlist("idempotency-key")) > 1:
        return problem(422, "Header Idempotency-Key: send only one.")
    content_type = media_type(request.headers)
    if content_type == NDJSON:
        if key is not None:
            return problem(422, "Idempotency-Key is not supported with NDJSON.")
        return await _push_lines(service, batch_id, request.receive)
    if content_type not in _JSON_TYPES:
        detail = f"Send JSON as {JSON}, or one JSON value per line as {NDJSON}."
        return problem(415, detail)
    body = await request.body()
    try:
        keys, idempotency_key = await _parse(_parse_json, body, key)
    except InvalidBodyError as error:
        return problem(422, error.detail, **error.members)
    return _success(batch_id, await service.push(batch_id, keys, idempotency_key))


def _success(batch_id: str, result: PushResult) -> Response:
    return JSONResponse(PushedPoints(batch_id=batch_id, **asdict(result)).model_dump())


async def _parse(function: Callable[..., T], text: bytes, *arguments: Any) -> T:
    if len(text) <= _MAX_INLINE_BYTES:
        return function(text, *arguments)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_parser, function, text, *arguments)


# -- JSON ------------------------------------------------------------------------------------


def _parse_json(body: bytes, key: str | None) -> tuple[NDArray[np.float64], IdempotencyKey | None]:
    """Return the numbers in a JSON document, and its idempotency key.

    Raises InvalidBodyError, with ``index`` for an element of an array.
    """
    # At most one comma follows each point. Counting commas is much cheaper than parsing.
    if body.count(b",") >= MAX_POINTS:
        raise InvalidBodyError(f"The array has more than {MAX_POINTS} elements.")
    try:
        is_array = re.match(rb"\s*\[", body)
        points = _POINTS.validate_json(body) if is_array else [_POINT.validate_json(body)]
    except ValidationError as error:
        raise _to_body_error(error) from None
    keys = _to_keys(points)
    return keys, IdempotencyKey(key, hashlib.sha256(body).hexdigest()) if key else None


def _to_body_error(error: ValidationError) -> InvalidBodyError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    index = first["loc"][0] if first["loc"] else None
    if first["type"] == "json_invalid":
        return InvalidBodyError(f"The body is not valid JSON. Send one value per line as {NDJSON}.")
    if first["type"] == "too_short":
        return InvalidBodyError("The array is empty.")
    if isinstance(index, int):
        return InvalidBodyError(f"Element {index} (from 0) {_EXPECTED}.", index=index)
    return InvalidBodyError(f"The body {_EXPECTED} or an array of them.")


def _to_keys(points: list[float | PointObject]) -> NDArray[np.float64]:
    return np.array([p if isinstance(p, float) else p.key for p in points], np.float64)


# -- NDJSON ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lines:
    """The points of some lines, and the number of lines. ``error`` is about the last line."""

    keys: NDArray[np.float64]
    count: int
    error: str | None = None


def parse_lines(text: bytes) -> Lines:
    """Parse lines up to the first invalid one. Empty lines are ignored."""
    points: list[float | PointObject] = []
    lines = text.split(b"\n")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE_BYTES:
            error = f"is longer than {MAX_LINE_BYTES} bytes"
            return Lines(_to_keys(points), number, error)
        if not line or line.isspace():
            continue
        try:
            points.append(_POINT.validate_json(line))
        except ValidationError:
            return Lines(_to_keys(points), number, _EXPECTED)
    return Lines(_to_keys(points), len(lines))


class _Body:
    """The body of a request, received in parts."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_complete = False

    async def parts(self, push: Push) -> AsyncIterator[bytes]:
        """Yield the parts. Raises the errors of ``Push.wait_for_end``, and InvalidBodyError if the
        client disconnects."""
        while not self._is_complete:
            message = await self._next(push)
            self._is_complete = not message.get("more_body", False)
            if message["type"] == "http.disconnect":
                raise InvalidBodyError("The body is incomplete.")
            yield message.get("body", b"")

    async def _next(self, push: Push) -> Message:
        if not push.count:
            return await self._receive()
        receiving = asyncio.ensure_future(self._receive())
        end = asyncio.create_task(push.wait_for_end())
        try:
            await asyncio.wait({receiving, end}, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                end.result()
            return await receiving
        finally:
            receiving.cancel()
            end.cancel()

    async def discard(self) -> None:
        """Discard the rest for a short time: many clients first send it, then read the response."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while not self._is_complete:
                    message = await self._receive()
                    self._is_complete = not message.get("more_body", False)


async def _whole_lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield one or more whole lines at a time, without their last line break."""
    rest = b""
    async for part in parts:
        lines, line_break, last = part.rpartition(b"\n")
        if line_break:
            yield rest + lines
            rest = last
        else:
            rest += last
        if len(rest) > MAX_LINE_BYTES:
            break
    if rest:
        yield rest


async def _append_lines(push: Push, body: _Body) -> None:
    """Append the points of a body as they arrive. Raises SoloError, InvalidBodyError."""
    line_count = 0
    async for text in _whole_lines(body.parts(push)):
        lines = await _parse(parse_lines, text)
        for start in range(0, len(lines.keys), MAX_POINTS_PER_APPEND):
            await push.append(lines.keys[start : start + MAX_POINTS_PER_APPEND])
        line_count += lines.count
        if lines.error:
            raise InvalidBodyError(f"Line {line_count} {lines.error}.", line=line_count)
    if not push.count:
        raise InvalidBodyError("The body has no points.")


async def _push_lines(service: BatchService, batch_id: str, receive: Receive) -> Response:
    push, body = service.open_push(batch_id), _Body(receive)
    error: SoloError | InvalidBodyError | None = None
    try:
        await _append_lines(push, body)
    except (SoloError, InvalidBodyError) as raised:
        error = raised
    result = await push.commit()
    if result and not error:
        return _success(batch_id, result)
    await body.discard()
    stored: dict[str, Any] = {
        "count": push.count,
        "last_seq": result.last_seq if result else None,
    }
    if isinstance(error, InvalidBodyError):
        return problem(422, error.detail, **error.members, **stored)
    assert error
    return error_response(error, **stored)
