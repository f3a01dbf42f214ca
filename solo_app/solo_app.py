"""Assembly only: settings, service, API, pages, lifespan. Nothing opens at import."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import reflex as rx

from solo_app.api.gateway import Gateway
from solo_app.api.routes import build_api
from solo_app.config import settings
from solo_app.lifespan import running_service
from solo_app.ui.pages import add_pages

api = build_api()


def service_lifespan() -> AbstractAsyncContextManager[object]:
    """Reflex calls this in the worker process, once, when the server starts."""
    return running_service(settings(), lambda service: setattr(api.state, "service", service))


app = rx.App(
    api_transformer=lambda reflex_app: Gateway(reflex_app, api, settings()),
    stylesheets=["/solo.css"],
    html_lang="en",
)
app.register_lifespan_task(service_lifespan)
add_pages(app)
