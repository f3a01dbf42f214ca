"""What routes have in common: the batch an address names, the service, queries without slips.

All of it is coroutines, though nothing waits: a plain function FastAPI would hand to a thread, and
wait for it, for each of them at each request.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.exceptions import RequestValidationError
from starlette.convertors import Convertor, register_url_convertor

from solo_app.batches.catalog import BATCH_ID_PATTERN, check_batch_id
from solo_app.batches.errors import ServiceClosedError
from solo_app.batches.service import BatchService


class _Anything(Convertor[str]):
    """Matches any text, slashes and line ends too, so that a bad id is told that it is one."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _Anything())


async def service_of(request: Request) -> BatchService:
    """The service, while the app runs. Raises ServiceClosedError."""
    service: BatchService | None = getattr(request.app.state, "service", None)
    if service is None:
        raise ServiceClosedError
    return service


async def no_unknown_query(request: Request) -> None:
    """Refuse a query with a name that the route does not know: it is a slip, not a wish."""
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise RequestValidationError(
            [
                {"loc": ("query", name), "type": "unknown", "msg": "is not known here"}
                for name in unknown
            ]
        )


async def batch_id_of(
    batch_id: Annotated[str, Path(json_schema_extra={"pattern": BATCH_ID_PATTERN})],
) -> str:
    """The id in the address. Raises InvalidBatchIdError."""
    check_batch_id(batch_id)
    return batch_id


Service = Annotated[BatchService, Depends(service_of)]
BatchId = Annotated[str, Depends(batch_id_of)]
