"""Shared FastAPI dependencies: the service, the batch id in the path, whether to omit the body.

They are coroutines because FastAPI runs plain functions in a thread.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from solo_app.batches.catalog import BATCH_ID_PATTERN, check_batch_id
from solo_app.batches.errors import ServiceClosedError
from solo_app.batches.service import BatchService


async def get_service(request: Request) -> BatchService:
    """The service while the app is running. Raises ServiceClosedError."""
    service: BatchService | None = getattr(request.app.state, "service", None)
    if service is None:
        raise ServiceClosedError
    return service


async def get_batch_id(
    batch_id: Annotated[str, Path(json_schema_extra={"pattern": BATCH_ID_PATTERN})],
) -> str:
    """The id in the path. Raises InvalidBatchIdError."""
    check_batch_id(batch_id)
    return batch_id


async def is_head(request: Request) -> bool:
    """Whether the gateway turned a HEAD request into this GET and discards the body."""
    return getattr(request.state, "is_head", False)


Service = Annotated[BatchService, Depends(get_service)]
BatchId = Annotated[str, Depends(get_batch_id)]
IsHead = Annotated[bool, Depends(is_head)]
