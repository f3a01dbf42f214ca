"""Errors as ``application/problem+json`` (RFC 9457), and the statuses of domain errors.

``type`` is always ``about:blank``, so ``title`` is the reason phrase of the HTTP status. ``code``
identifies the error for programs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from solo_app.batches.errors import (
    BatchEndedError,
    BatchLimitReachedError,
    BatchNotEndedError,
    BatchNotFoundError,
    BatchRunningError,
    IdempotencyKeyReusedError,
    InvalidBatchIdError,
    InvalidConfigurationError,
    PushInProgressError,
    SeqNotReachedError,
    ServiceClosedError,
    SoloError,
    SourceMismatchError,
    StoreUnavailableError,
    UnknownSourceError,
    WindowOutOfRangeError,
)

MEDIA_TYPE = "application/problem+json"

STATUS_BY_ERROR: dict[type[SoloError], int] = {
    BatchNotFoundError: 404,
    BatchNotEndedError: 409,
    BatchRunningError: 409,
    BatchEndedError: 409,
    SourceMismatchError: 409,
    PushInProgressError: 409,
    SeqNotReachedError: 409,
    BatchLimitReachedError: 429,
    InvalidBatchIdError: 422,
    IdempotencyKeyReusedError: 422,
    UnknownSourceError: 422,
    InvalidConfigurationError: 422,
    WindowOutOfRangeError: 422,
    ServiceClosedError: 503,
    StoreUnavailableError: 503,
}
"""The status of each domain error; all others are 500."""

CODE_BY_STATUS = {
    400: "bad-request",
    403: "foreign-request",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
}
"""The codes of errors that are not domain errors; other statuses are internal errors."""


class Problem(BaseModel):
    """An error. ``detail`` is for people, ``code`` for programs."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


class LimitProblem(Problem):
    """The limit of running batches is reached. ``running`` lists them."""

    limit: int
    running: list[str]


class InvalidRequestProblem(Problem):
    """A request is invalid. ``errors`` has a message for each invalid field of the body."""

    errors: dict[str, str] = {}


_PROBLEM_BY_STATUS: dict[int, type[Problem]] = {422: InvalidRequestProblem, 429: LimitProblem}


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    code: str | None = None,
    **members: Any,
) -> Response:
    """Return a problem document with additional ``members``."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code or CODE_BY_STATUS.get(status, "internal-error"),
        **members,
    )
    return Response(
        json.dumps(body.model_dump()), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI ``responses`` of a route that can return these problems."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {
                MEDIA_TYPE: {"schema": _PROBLEM_BY_STATUS.get(status, Problem).model_json_schema()}
            },
        }
        for status in statuses
    }


def add_problem_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Convert every error of the app to a problem. ``routes`` are the routes of its API."""

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status, path = error.status_code, request.url.path
        if status == 400:
            # FastAPI raises 400 only for a body that cannot be parsed.
            return problem(422, "The body is not valid JSON.")
        headers = dict(error.headers or {})
        if status == 405:
            headers["Allow"] = ", ".join(sorted(_allowed_methods(routes, request)))
        return problem(status, default_detail(status, request.method, path), headers)

    app.add_exception_handler(SoloError, _solo_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, _unexpected_error)


async def _solo_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, SoloError)
    return error_response(error)


def error_response(error: SoloError, **members: Any) -> Response:
    """Return the problem document of a domain error with additional ``members``."""
    if isinstance(error, BatchLimitReachedError):
        members |= {"limit": error.limit, "running": error.running}
    elif isinstance(error, InvalidConfigurationError):
        members |= {"errors": error.errors}
    elif isinstance(error, UnknownSourceError):
        members |= {"errors": {"source": str(error)}}
    status = STATUS_BY_ERROR.get(type(error), 500)
    return problem(status, str(error), code=error_code(type(error)), **members)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    in_body = [(_field(e), _message(e)) for e in errors if e["loc"][0] == "body"]
    fields = {name: message for name, message in in_body if name is not None}
    members: dict[str, Any] = {"errors": fields} if fields else {}
    return problem(422, " ".join(map(format_error, errors)), **members)


async def _unexpected_error(request: Request, _: Exception) -> Response:
    return problem(500, default_detail(500, request.method, request.url.path))


def _allowed_methods(routes: Sequence[BaseRoute], request: Request) -> set[str]:
    """Return the methods of all routes of a path; the router reports only those of the first."""
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in matching for method in getattr(route, "methods", None) or ()}
    return methods | {"HEAD"} if "GET" in methods else methods


def default_detail(status: int, method: str, path: str) -> str:
    """Return the detail of an error without a message."""
    if status == 404:
        return f"Nothing found at {path}. The API is documented at /docs."
    if status == 405:
        return f"{path} does not support {method}."
    if status >= 500:
        return "Internal error. See the server log for details."
    return f"{HTTPStatus(status).phrase}."


def format_error(error: Mapping[str, Any]) -> str:
    """Format a pydantic validation error as a sentence."""
    location, name = error["loc"][0], _field(error)
    if error["type"] == "json_invalid":
        return "The body is not valid JSON."
    if location == "body" and name is None:
        return "The body is not a JSON object sent as application/json."
    if name is None:
        return f"{_message(error)}."
    subject = {"query": f"Query parameter {name}", "header": f"Header {name}"}.get(
        location, f"Body field {name}"
    )
    if error["type"] == "extra_forbidden":
        return f"{subject} is unknown."
    return f"{subject}: {_message(error)}."


def _field(error: Mapping[str, Any]) -> str | None:
    """Return the name of the invalid field or parameter, None for an error of the whole body."""
    path = error["loc"][1:]
    return ".".join(map(str, path)) if path and error["type"] != "json_invalid" else None


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "Unknown field"
    message: str = error["msg"]
    return message.removeprefix("Value error, ")


def error_code(error: type[SoloError]) -> str:
    """Return the code of a domain error, such as ``batch-running``."""
    words = re.findall("[A-Z][a-z]+", error.__name__.removesuffix("Error"))
    return "-".join(words).lower()
