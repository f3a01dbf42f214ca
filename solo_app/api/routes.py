"""The HTTP API: every route of the contract, each a translation to one call of the service."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Response
from fastapi_offline import FastAPIOffline
from pydantic import WithJsonSchema

from solo_app.api.asking import BatchId, Service, no_unknown_query
from solo_app.api.downloads import ANSWER, BACKUP, backup_of, file_of
from solo_app.api.problems import LIMIT_REACHED, answer_with_problems, documented
from solo_app.api.streams import EVENT, stream
from solo_app.api.values import (
    WHOLE,
    AggregateValue,
    Batches,
    BatchValue,
    BatchWithRuns,
    Message,
    Minutes,
    MinuteValue,
    Overall,
    Points,
    PointValue,
    RunValue,
    StartRequest,
    Task,
    Tasks,
    TimeQuery,
)
from solo_app.batches.errors import WindowOutOfRangeError
from solo_app.batches.minutes import whole_minute
from solo_app.batches.model import MINUTE, BatchStatus, FileFormat, Window
from solo_app.batches.service import BatchService
from solo_app.batches.sources import DEFAULT_SOURCE

_LOCATION = {"Location": {"description": "where it is told of", "schema": {"type": "string"}}}
LONGEST_SPAN = timedelta(days=31)
"""How many minutes one answer may tell of."""

_HIGHEST_SEQ = 2**63 - 1
# A header is there or not; null it cannot be.
_SEQ_SCHEMA = WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _HIGHEST_SEQ})

After = Annotated[
    int | None, Query(ge=0, le=_HIGHEST_SEQ, description="only points with a higher seq"), WHOLE
]
Limit = Annotated[int, Query(ge=1, le=10_000), WHOLE]

router = APIRouter(dependencies=[Depends(no_unknown_query)], responses=documented(403, 500, 503))


@router.get("/", summary="The overall data", responses=documented(422))
async def overall(service: Service) -> Overall:
    """Committed points of all batches, and how many of the slots are taken."""
    totals = service.totals()
    return Overall(
        row_count=totals.row_count,
        task_count=totals.running,
        rows_per_second=totals.rows_per_second,
        batch_count=totals.batches,
        waiting=totals.write_error,
        unarchived=totals.archive_error,
    )


@router.get("/tasks", summary="The running batches", responses=documented(422))
async def tasks(service: Service) -> Tasks:
    """Every batch that runs now."""
    return Tasks(tasks=[Task.of(batch, service) for batch in service.running()])


@router.post(
    "/stream/{batch_id:anything}",
    status_code=201,
    summary="Start a batch",
    responses={201: {"headers": _LOCATION}, **documented(409, 422), **LIMIT_REACHED},
)
async def start(
    batch_id: BatchId, service: Service, response: Response, body: StartRequest | None = None
) -> Message:
    """Start a batch; one that ended before gets another run, and its points go on counting."""
    await service.start(batch_id, body.source if body else DEFAULT_SOURCE)
    response.headers["Location"] = f"/batches/{batch_id}"
    return Message(message="Batch started", batch_id=batch_id)


@router.delete(
    "/stream/{batch_id:anything}", summary="Stop a batch", responses=documented(404, 422)
)
async def stop(batch_id: BatchId, service: Service) -> Message:
    """Answers when the last point is committed; a batch that had ended stays as it is."""
    await service.stop(batch_id)
    return Message(message="Batch stopped", batch_id=batch_id)


@router.get(
    "/stream/{batch_id:anything}",
    summary="Follow a batch",
    response_class=Response,
    responses={
        200: {
            "description": "Points as server-sent events, then one named `end`",
            "content": {"text/event-stream": {"itemSchema": EVENT}},
        },
        204: {"description": "The batch has ended and the reader has it all"},
        **documented(404, 422),
    },
)
async def follow(
    batch_id: BatchId,
    service: Service,
    after: After = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=_HIGHEST_SEQ), _SEQ_SCHEMA, WHOLE] = None,
) -> Response:
    """Each committed point once, in order: after `Last-Event-ID` or `after`, else from now on."""
    # A reader that comes back sends both; what it saw last is the newer of the two.
    return await stream(service, batch_id, after if last_event_id is None else last_event_id)


@router.get(
    "/agg/{batch_id:anything}", summary="The last whole minute", responses=documented(404, 422)
)
async def aggregate(
    batch_id: BatchId,
    service: Service,
    at: Annotated[TimeQuery | None, Query(description="ask as if that were now")] = None,
) -> AggregateValue:
    """Average, sum and count over the points of the last whole minute."""
    return AggregateValue.of(await service.aggregate(batch_id, at))


@router.get("/batches", summary="All batches ever", responses=documented(422))
async def batches(
    service: Service,
    status: BatchStatus | None = None,
    offset: Annotated[int, Query(ge=0, le=_HIGHEST_SEQ), WHOLE] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000), WHOLE] = 100,
) -> Batches:
    """Those whose latest run began last come first."""
    found = service.batches(status)
    query = {"offset": offset + limit, "limit": limit} | ({"status": status} if status else {})
    return Batches(
        batches=[BatchValue.of(b, service) for b in found[offset : offset + limit]],
        total=len(found),
        next=f"/batches?{urlencode(query)}" if offset + limit < len(found) else None,
    )


@router.get(
    "/batches/{batch_id:anything}/points",
    summary="Points of a batch",
    responses=documented(404, 422),
)
async def points(
    batch_id: BatchId, service: Service, after: After = None, limit: Limit = 1_000
) -> Points:
    """Committed points in order of seq."""
    found = await service.points(batch_id, after or 0, limit)
    more = bool(found) and found[-1].seq < service.last_seq(service.batch(batch_id))
    query = urlencode({"after": found[-1].seq, "limit": limit}) if more else None
    return Points(
        batch_id=batch_id,
        points=[PointValue.of(point) for point in found],
        next=f"/batches/{quote(batch_id)}/points?{query}" if query else None,
    )


@router.get(
    "/batches/{batch_id:anything}/minutes",
    summary="A batch minute by minute",
    responses=documented(404, 422),
)
async def minutes(
    batch_id: BatchId,
    service: Service,
    start: Annotated[
        TimeQuery | None, Query(alias="from", description="default: an hour before to")
    ] = None,
    end: Annotated[
        TimeQuery | None, Query(alias="to", description="default: now, cut to the minute")
    ] = None,
) -> Minutes:
    """The minutes that have points; both ends are cut to the minute, `to` is not included."""
    window = _span(start, end, service)
    found = await service.minutes(batch_id, window)
    return Minutes(
        batch_id=batch_id,
        start=window.start,
        end=window.end,
        minutes=[MinuteValue.of(minute) for minute in found],
    )


@router.get(
    "/batches/{batch_id:anything}/download",
    summary="Points of a batch as a file",
    response_class=Response,
    responses={**ANSWER, **documented(404, 422)},
)
async def download(
    batch_id: BatchId,
    service: Service,
    file_format: Annotated[FileFormat, Query(alias="format")] = FileFormat.CSV,
    start: Annotated[
        TimeQuery | None, Query(alias="from", description="default: the first point")
    ] = None,
    end: Annotated[
        TimeQuery | None, Query(alias="to", description="not included; default: the last point")
    ] = None,
) -> Response:
    """The points committed by now that have `from` <= `ts` < `to`, in order of seq.

    CSV and JSON are made as they are read; Parquet tells its length beforehand.
    """
    found = await service.download(
        batch_id, file_format, start or datetime.min, end or datetime.max
    )
    return file_of(found, batch_id, file_format, service.clock())


@router.get("/batches/{batch_id:anything}", summary="One batch", responses=documented(404, 422))
async def batch(batch_id: BatchId, service: Service) -> BatchWithRuns:
    """A batch with its runs, and why it failed."""
    runs = await service.runs(batch_id, limit=10)
    return BatchWithRuns.of(
        service.batch(batch_id), service, runs=[RunValue.of(run) for run in runs]
    )


@router.get(
    "/backup",
    summary="The database as a file",
    response_class=Response,
    responses={**BACKUP, **documented(422)},
)
async def backup(service: Service) -> Response:
    """A copy of the whole database as it is at one moment, while every batch runs on.

    It tells its length beforehand. Archived points are not in it: their files never change and
    are copied as they are, after it.
    """
    return backup_of(await service.backup(), service.clock())


def build_api() -> FastAPI:
    """The API as an ASGI app; its ``state.service`` is set as long as the app lives."""
    api = FastAPIOffline(
        title="SOLO",
        description="Background data batches: start, watch, ask, stop.",
        version="1",
        redoc_url=None,
        redirect_slashes=False,
        swagger_ui_parameters={"validatorUrl": None},
        favicon_url="/static-offline-docs/favicon.png",
    )
    answer_with_problems(api, router.routes)
    # `include_router` would put all of them together once more, at the first request while everyone
    # waits, and have each request go through one more step. What they need stands in the router:
    # of dependencies and responses given to the app they know nothing.
    api.router.routes.extend(router.routes)
    return api


def _span(start: TimeQuery | None, end: TimeQuery | None, service: BatchService) -> Window:
    last = whole_minute(end if end is not None else service.clock())
    try:
        first = whole_minute(start) if start is not None else last - 60 * MINUTE
    except OverflowError:
        raise WindowOutOfRangeError("There is no hour before that time.") from None
    if first >= last:
        raise WindowOutOfRangeError("`from` must lie at least a whole minute before `to`.")
    if last - first > LONGEST_SPAN:
        raise WindowOutOfRangeError(f"Ask for {LONGEST_SPAN.days} days of minutes at most.")
    return Window(first, last)
