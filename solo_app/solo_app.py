"""Assembly only: settings, service, API, pages, lifespan. Nothing opens at import."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import reflex as rx
from reflex.config import get_config
from reflex.environment import environment
from starlette.types import ASGIApp

from solo_app.api.gateway import Gateway
from solo_app.api.routes import build_api
from solo_app.config import read_settings
from solo_app.lifespan import running_service
from solo_app.ui.pages import add_pages
from solo_app.ui.wire import use_sockets_of

api = build_api()


def service_lifespan() -> AbstractAsyncContextManager[object]:
    """Return the lifespan of the service. Reflex enters it in the worker process only."""
    return running_service(read_settings(), lambda service: setattr(api.state, "service", service))


def mount_api(pages: ASGIApp) -> ASGIApp:
    """Combine Reflex's server with the API."""
    return Gateway(
        pages,
        api,
        origins=get_config().cors_allowed_origins,
        pages_are_here=environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP.get(),
    )


app = rx.App(
    api_transformer=mount_api,
    stylesheets=["/solo.css"],
    html_lang="en",
)
app.register_lifespan_task(service_lifespan)
add_pages(app)
use_sockets_of(app)
