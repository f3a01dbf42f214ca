"""Errors as ``application/problem+json`` (RFC 9457), and the one table from error to status.

``type`` is ``about:blank`` throughout, so ``title`` is the phrase of the HTTP status; ``code``
names the error for programs, where it is one of this project's own.
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
    BatchLimitReachedError,
    BatchNotFoundError,
    BatchRunningError,
    InvalidBatchIdError,
    ServiceClosedError,
    SoloError,
    StoreUnavailableError,
    UnknownSourceError,
    WindowOutOfRangeError,
)

MEDIA_TYPE = "application/problem+json"

_WENT_WRONG = "Something went wrong here; the server's log says what."

STATUS_OF: dict[type[SoloError], int] = {
    BatchNotFoundError: 404,
    BatchRunningError: 409,
    BatchLimitReachedError: 429,
    InvalidBatchIdError: 422,
    UnknownSourceError: 422,
    WindowOutOfRangeError: 422,
    ServiceClosedError: 503,
    StoreUnavailableError: 503,
}


class Problem(BaseModel):
    """What went wrong, for people (``detail``) and programs (``status``, ``code``)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """The response that tells of a problem; ``more`` are members of its own."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **more)
    return Response(
        json.dumps(body.model_dump()), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


class LimitProblem(Problem):
    """A start that was refused for want of a slot; ``running`` names the batches that hold one."""

    limit: int
    running: list[str]


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with these problems."""
    schema = Problem.model_json_schema()
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


LIMIT_REACHED: dict[int | str, dict[str, Any]] = {
    429: {
        "description": "Every slot is taken",
        "content": {MEDIA_TYPE: {"schema": LimitProblem.model_json_schema()}},
    }
}


def answer_with_problems(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have every error of the app, which has these routes, answered as a problem."""
    app.state.routes = routes
    app.add_exception_handler(SoloError, _solo_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected_error)


async def _solo_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, SoloError)
    more: dict[str, Any] = {"code": _code(type(error))}
    if isinstance(error, BatchLimitReachedError):
        more |= {"limit": error.limit, "running": error.running}
    return problem(STATUS_OF.get(type(error), 500), str(error), **more)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    complaints = [_complaint(e) for e in error.errors()]
    return problem(422, " ".join(complaints), code="invalid-request")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 400:
        # The only 400 of the framework: a body that its parser gave up on.
        return problem(422, "The body cannot be read as JSON.", code="invalid-request")
    if detail == HTTPStatus(error.status_code).phrase:
        detail = nothing_to_do(request.method, request.url.path, error.status_code)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods_taken(request)))
    return problem(error.status_code, detail, headers)


def _methods_taken(request: Request) -> set[str]:
    """All methods that some route of this path takes; the router itself names the first's."""
    fitting = [r for r in request.app.state.routes if r.matches(request.scope)[0] is not Match.NONE]
    return {method for route in fitting for method in getattr(route, "methods", None) or ()}


def nothing_to_do(method: str, path: str, status: int) -> str:
    """Why a request that fits no route was refused, in words."""
    if status >= 500:
        return _WENT_WRONG
    return f"There is nothing at {path}." if status == 404 else f"{path} does not take {method}."


async def _unexpected_error(_: Request, error: Exception) -> Response:
    return problem(500, _WENT_WRONG)


def _complaint(error: Mapping[str, Any]) -> str:
    place, *path = error["loc"]
    name = ".".join(str(part) for part in path)
    if error["type"] == "json_invalid":
        return "The body is not JSON."
    if place == "body" and not path:
        return "The body is not a JSON object sent as application/json."
    where = {"query": f"Query value {name}", "header": f"Header {name}"}.get(
        place, f"Body value {name}" if name else "The body"
    )
    return f"{where}: {error['msg'].removeprefix('Value error, ')}."


def _code(error: type[SoloError]) -> str:
    words = re.findall("[A-Z][a-z]+", error.__name__.removesuffix("Error"))
    return "-".join(words).lower()
