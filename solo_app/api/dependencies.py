"""Parameters that routes share: the service, the batch id in the path, HEAD requests.

Dependencies are coroutines because FastAPI runs plain functions in a thread.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from solo_app.batches.catalog import BATCH_ID_PATTERN, check_batch_id
from solo_app.batches.errors import ServiceClosedError
from solo_app.batches.service import BatchService


async def get_service(request: Request) -> BatchService:
    """Return the service. Raises ServiceClosedError if the app is not running."""
    service: BatchService | None = getattr(request.app.state, "service", None)
    if service is None:
        raise ServiceClosedError
    return service


def validate_batch_id(batch_id: str) -> str:
    """Return the batch id in the path. Raises InvalidBatchIdError."""
    check_batch_id(batch_id)
    return batch_id


async def is_head(request: Request) -> bool:
    """Return whether the gateway converted a HEAD request to this GET and discards the body."""
    return getattr(request.state, "is_head", False)


Service = Annotated[BatchService, Depends(get_service)]
BatchId = Annotated[
    str,
    Path(json_schema_extra={"pattern": BATCH_ID_PATTERN}),
    # A dependency would need much more time per request.
    AfterValidator(validate_batch_id),
]
IsHead = Annotated[bool, Depends(is_head)]
