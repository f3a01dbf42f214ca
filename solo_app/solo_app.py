"""Assembles the app: settings, service, API, pages and lifespan. Importing it opens nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import reflex as rx
from reflex.config import get_config
from reflex.environment import environment
from starlette.types import ASGIApp

from solo_app.api.app import api_prefixes, create_api
from solo_app.api.gateway import Gateway
from solo_app.config import SettingsError, read_settings
from solo_app.lifespan import running_service
from solo_app.main_process import exit_with_error
from solo_app.sources import create_sources
from solo_app.ui.console import Console
from solo_app.ui.pages import add_pages

try:
    settings = read_settings()
    sources = create_sources(settings)
except SettingsError as error:  # In development, ``solo.toml`` is read again after a code change.
    exit_with_error(str(error))
api = create_api()
console = Console()


@asynccontextmanager
async def service_lifespan() -> AsyncIterator[None]:
    """Run the service for API and pages. Reflex enters this in the worker process only."""
    try:
        async with running_service(settings, sources) as service:
            api.state.service = service
            console.connect(service)
            yield
    finally:
        api.state.service = None


class App(rx.App):
    """The Reflex app, served through the gateway.

    With ``api_transformer`` the gateway would be behind routes and middleware of Reflex, which
    answer some requests themselves, in plain text and before their origin is checked.
    """

    def __call__(self) -> ASGIApp:
        serves_pages = environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP.get()
        origins = get_config().cors_allowed_origins
        return Gateway(super().__call__(), api, api_prefixes(api), origins, serves_pages)


app = App(stylesheets=["/solo.css"], html_lang="en")
app.register_lifespan_task(service_lifespan)
add_pages(app, console, sources)
