"""The API as an ASGI app, including its documentation."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi_offline import FastAPIOffline
from starlette.routing import Mount, Route

from solo_app.api.problems import add_problem_handlers
from solo_app.api.routes import router

_DOCS = Path(__file__).with_name("docs.html")

_DESCRIPTION = """
Start, stream, aggregate and stop background data batches. HEAD is supported wherever GET is. The
query parameter `_` is ignored; other unknown parameters are rejected. Times are ISO 8601: a date
and a time, separated by `T` or a space, with `Z` or an offset; the default is UTC.
"""


def create_api() -> FastAPI:
    """Create the API. Its ``state.service`` must be set while the app is running."""
    api = FastAPIOffline(
        title="SOLO",
        description=_DESCRIPTION,
        version="1",
        # FastAPIOffline serves the files of Swagger UI; ``docs`` below serves the page.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    api.include_router(router)

    @api.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(_DOCS)

    add_problem_handlers(api, _routes(api))
    return api


def api_prefixes(api: FastAPI) -> frozenset[str]:
    """Return the first segments of all paths of the API, except for ``/``."""
    return frozenset(route.path.split("/")[1] for route in _routes(api)) - {""}


def _routes(api: FastAPI) -> list[Route | Mount]:
    # The routes of an included router are not in ``api.routes``.
    return [r for r in (*router.routes, *api.routes) if isinstance(r, Route | Mount)]
