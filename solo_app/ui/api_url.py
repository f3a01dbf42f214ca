"""URLs of the API on the pages."""

from __future__ import annotations

from typing import Any

from reflex.config import get_config

from solo_app.ui import format as fmt


def api_base() -> str:
    """Return the base of links to the API.

    Empty in production, where the API and the pages have the same origin, whatever the host name.
    """
    config = get_config()
    return "" if config.api_url == config.deploy_url else config.api_url


def push_command(batch_id: Any) -> str:
    """Return the command that pushes a number to a batch, with the full URL of the API."""
    return f"curl -d 21.5 {fmt.origin(api_base())}/batches/{batch_id}/points"
