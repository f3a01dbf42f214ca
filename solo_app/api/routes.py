"""The routes of the HTTP API. Each one translates a request to a call of the service."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from solo_app.api import parameters, schemas
from solo_app.api.dependencies import BatchId, IsHead, Service
from solo_app.api.downloads import (
    BACKUP_RESPONSES,
    POINTS_RESPONSES,
    backup_response,
    points_response,
)
from solo_app.api.problems import problem_responses
from solo_app.api.push import REQUEST_BODY, push_response
from solo_app.api.sse import EVENT_SCHEMA, stream_response

LATEST_RUNS = 10
"""Number of runs in the response for one batch."""

NoQuery = Annotated[parameters.NoParameters, Query()]

_LOCATION = {"Location": {"description": "URL of the batch", "schema": {"type": "string"}}}

router = APIRouter(
    # Renders all numbers as `format_number` does, unlike the default of FastAPI.
    default_response_class=JSONResponse,
    responses=problem_responses(403, 413, 422, 500, 503),
)


# Routes are matched in order, so the most frequent request comes first.
@router.post(
    "/batches/{batch_id}/points",
    summary="Push points",
    response_class=Response,
    responses={
        200: {"model": schemas.PushedPoints},
        **problem_responses(408, 409, 415, 429),
    },
    openapi_extra=REQUEST_BODY,
)
async def push_points(
    batch_id: BatchId,
    service: Service,
    request: Request,
    _: NoQuery,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern="^[!-~]{1,255}$",
            description="only with JSON: a repeated request within 24 hours stores nothing and "
            "returns the same response",
        ),
    ] = None,
) -> Response:
    """Store points, and respond after their commit. Starts a batch that does not exist, was
    interrupted or has finished.

    JSON is stored atomically: a number, `{"key": number}`, or an array of either. NDJSON is stored
    as it arrives; an invalid line ends the request, and `line`, `count` and `last_seq` of the error
    state what was stored. Returns 409 if the batch was stopped or has failed, has another source,
    or if a request with the same `Idempotency-Key` is in progress.

    After a 503, the points may still be stored. A retry can store them twice, except with the same
    `Idempotency-Key`.
    """
    return await push_response(request, service, batch_id, idempotency_key)


@router.get("/", summary="Totals")
async def get_totals(service: Service, _: NoQuery) -> schemas.Totals:
    """Totals of all batches, and the reasons why points currently cannot be stored."""
    return schemas.Totals.model_validate(service.totals())


@router.get("/tasks", summary="Running batches")
async def list_tasks(service: Service, _: NoQuery) -> schemas.Tasks:
    """The running batches in start order, each with its latest committed point."""
    producers = service.producers()
    return schemas.Tasks(tasks=[schemas.Task.from_producer(p, service) for p in producers])


@router.post(
    "/stream/{batch_id}",
    status_code=201,
    summary="Start a batch",
    responses={201: {"headers": _LOCATION}, **problem_responses(409, 429)},
)
async def start_batch(
    batch_id: BatchId,
    service: Service,
    response: Response,
    _: NoQuery,
    body: schemas.StartRequest | None = None,
) -> schemas.Message:
    """Start a new batch, or a new run of a batch that has ended. The seq continues."""
    await service.start(batch_id, **(body or schemas.StartRequest()).model_dump())
    response.headers["Location"] = f"/batches/{batch_id}"
    return schemas.Message(message="Batch started", batch_id=batch_id)


@router.delete("/stream/{batch_id}", summary="Stop a batch", responses=problem_responses(404))
async def stop_batch(batch_id: BatchId, service: Service, _: NoQuery) -> schemas.Message:
    """Stop a batch and wait until its last point is committed. No effect if it has ended.

    Returns 503 with the reason while the database cannot be written. The source is stopped; the
    batch stays `running` until its points are written, then becomes `stopped`.
    """
    await service.stop(batch_id)
    return schemas.Message(message="Batch stopped", batch_id=batch_id)


@router.get(
    "/stream/{batch_id}",
    summary="Stream the points of a batch",
    response_class=Response,
    responses={
        200: {
            "description": "Points as server-sent events, then one named `end`",
            "content": {"text/event-stream": {"itemSchema": EVENT_SCHEMA}},
        },
        204: {"description": "The batch has ended and the client has every point"},
        **problem_responses(404, 409),
    },
)
async def stream_batch(
    batch_id: BatchId,
    service: Service,
    is_head: IsHead,
    query: Annotated[parameters.StreamParameters, Query()],
    last_event_id: Annotated[
        parameters.Seq, Header(alias="Last-Event-ID", description="only points with a higher seq")
    ] = None,
) -> Response:
    """Each point once, in order, as it is committed. The last event has the status of the batch.

    The stream resumes after the first non-empty value of `Last-Event-ID`, `lastEventId` and
    `after`. The header takes precedence because a reconnecting browser repeats the URL. Without a
    value, the stream starts with the next point. Returns 409 if the batch does not have the given
    point, for example after a backup was restored.

    Browsers open at most six HTTP/1.1 connections to a host, and each stream occupies one. With six
    open streams, further requests and tabs wait. Close unused streams (`EventSource.close()`), or
    share one between tabs (`SharedWorker`, `BroadcastChannel`).
    """
    positions = (last_event_id, query.last_event_id, query.after)
    after = next((position for position in positions if position is not None), None)
    return await stream_response(service, batch_id, after, headers_only=is_head)


@router.get(
    "/agg/{batch_id}",
    summary="The last full minute",
    responses=problem_responses(404),
)
async def get_aggregate(
    batch_id: BatchId, service: Service, query: Annotated[parameters.AggregateParameters, Query()]
) -> schemas.Aggregate:
    """Average, sum and count of all points of the last full minute before `at`."""
    return schemas.Aggregate.from_aggregate(await service.aggregate(batch_id, query.at))


@router.get("/batches", summary="All batches")
async def list_batches(
    service: Service, query: Annotated[parameters.BatchesParameters, Query()]
) -> schemas.Batches:
    """All batches, most recent start first."""
    found = service.batches(query.status)
    selected = found[query.offset : query.offset + query.limit]
    return schemas.Batches(
        batches=[schemas.Batch.from_batch(batch, service) for batch in selected],
        total=len(found),
        next=query.next_page("/batches", len(found)),
    )


@router.get("/batches/{batch_id}", summary="One batch", responses=problem_responses(404))
async def get_batch(batch_id: BatchId, service: Service, _: NoQuery) -> schemas.BatchWithRuns:
    """A batch with its latest 10 runs, and the reason if it failed."""
    runs = await service.runs(batch_id, 0, LATEST_RUNS)
    return schemas.BatchWithRuns.from_batch(
        service.batch(batch_id), service, runs=[schemas.Run.from_run(run, service) for run in runs]
    )


@router.patch(
    "/batches/{batch_id}",
    summary="Change the unit and the description of a batch",
    responses=problem_responses(404),
)
async def change_labels(
    batch_id: BatchId, service: Service, body: schemas.LabelsRequest, _: NoQuery
) -> schemas.Batch:
    """Change the labels of a running or ended batch. An empty object changes nothing."""
    batch = await service.change_labels(batch_id, **body.labels())
    return schemas.Batch.from_batch(batch, service)


@router.delete(
    "/batches/{batch_id}",
    status_code=204,
    summary="Delete a batch",
    responses=problem_responses(404, 409),
)
async def delete_batch(batch_id: BatchId, service: Service, _: NoQuery) -> None:
    """Delete an ended batch with its points, minutes, archive files, runs and log.

    Returns 409 while the batch is running. A deleted batch cannot be restored.
    """
    await service.delete(batch_id)


@router.get("/batches/{batch_id}/runs", summary="Runs of a batch", responses=problem_responses(404))
async def list_runs(
    batch_id: BatchId, service: Service, query: Annotated[parameters.PageParameters, Query()]
) -> schemas.Runs:
    """All runs, newest first."""
    found = await service.runs(batch_id, query.offset, query.limit)
    total = service.batch(batch_id).run.number
    return schemas.Runs(
        batch_id=batch_id,
        runs=[schemas.Run.from_run(run, service) for run in found],
        total=total,
        next=query.next_page(f"/batches/{batch_id}/runs", total),
    )


@router.get("/batches/{batch_id}/log", summary="Log of a batch", responses=problem_responses(404))
async def list_log(
    batch_id: BatchId, service: Service, query: Annotated[parameters.LogParameters, Query()]
) -> schemas.Log:
    """The latest lines of the log, in order. It has the last 500 lines of a batch.

    `info`: the run was started or has ended, or its source returns numbers again. `error`: the
    reason why a run failed. `retry`: a source that raised is restarted. `output`: from the source.
    """
    lines = [line for line in await service.log(batch_id) if line.number > (query.after or 0)]
    latest = lines[-query.limit :]
    return schemas.Log(
        batch_id=batch_id, lines=[schemas.LogLine.model_validate(line) for line in latest]
    )


@router.get("/sources", summary="Sources")
async def list_sources(service: Service, _: NoQuery) -> schemas.Sources:
    """The source kinds and the sources declared in `solo.toml` that clients can start, with the
    JSON Schema of their parameters."""
    kinds = service.sources.values()
    return schemas.Sources(sources=[schemas.Source.from_kind(kind) for kind in kinds])


@router.get(
    "/batches/{batch_id}/points",
    summary="Points of a batch",
    response_class=Response,
    responses={200: {"model": schemas.Points}, **problem_responses(404)},
)
async def list_points(
    batch_id: BatchId, service: Service, query: Annotated[parameters.PointsParameters, Query()]
) -> Response:
    """Committed points in order of seq, including archived ones."""
    found = await service.points(batch_id, query.after or 0, query.limit)
    url = None
    if found and found[-1].seq < service.last_seq(service.batch(batch_id)):
        url = f"/batches/{batch_id}/points?after={found[-1].seq}&limit={query.limit}"
    rows = ", ".join(map(schemas.point_json, found))
    text = f'{{"batch_id": "{batch_id}", "points": [{rows}], "next": {json.dumps(url)}}}'
    return Response(text, media_type="application/json")


@router.get(
    "/batches/{batch_id}/minutes", summary="Aggregates per minute", responses=problem_responses(404)
)
async def list_minutes(
    batch_id: BatchId, service: Service, query: Annotated[parameters.MinutesParameters, Query()]
) -> schemas.Minutes:
    """Count, sum, average, min and max per minute. Minutes without points are omitted.

    `from` and `to` are truncated to the minute; `to` is exclusive.
    """
    window = query.window(service.clock())
    found = await service.minutes(batch_id, window)
    return schemas.Minutes(
        batch_id=batch_id,
        start=window.start,
        end=window.end,
        minutes=[schemas.Minute.model_validate(minute) for minute in found],
    )


@router.get(
    "/batches/{batch_id}/download",
    summary="Points of a batch as a file",
    response_class=Response,
    responses={**POINTS_RESPONSES, **problem_responses(404)},
)
async def download_points(
    batch_id: BatchId,
    service: Service,
    is_head: IsHead,
    query: Annotated[parameters.DownloadParameters, Query()],
) -> Response:
    """The committed points with `from` <= `ts` < `to`, in order of seq.

    If the batch has a unit, each point includes it: in the column `unit` of CSV and Parquet, and
    in `data.unit` of JSON.

    CSV and JSON are streamed. Parquet has a Content-Length. If the file cannot be completed, the
    connection is aborted.
    """
    service.batch(batch_id)
    file = None
    if not is_head:
        start, end = query.start or datetime.min, query.end or datetime.max
        file = await service.download(batch_id, query.file_format, start, end)
    return points_response(file, batch_id, query.file_format, service.clock())


@router.get(
    "/backup",
    summary="The database as a file",
    response_class=Response,
    responses=BACKUP_RESPONSES,
)
async def download_backup(service: Service, is_head: IsHead, _: NoQuery) -> Response:
    """A consistent snapshot of the database, created while batches keep running.

    It does not contain archived points: copy the archive files afterwards; they never change.
    """
    return backup_response(None if is_head else await service.backup(), service.clock())
