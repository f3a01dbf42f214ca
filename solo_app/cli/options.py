"""Shared arguments and options."""

from __future__ import annotations

import os
import re

import click

from solo_app.cli.client import Client

PORT = os.environ.get("REFLEX_BACKEND_PORT", "").strip() or "8000"


def parse_batch_id(text: str) -> str:
    """Check a batch id. Raises ValueError. In a URL, ``..`` would change the path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        rule = "1 to 64 letters, digits, dots, underscores or hyphens"
        raise ValueError(f"Use {rule}, beginning with a letter or digit.")
    return text


def _open_client(context: click.Context, _: click.Parameter, url: str) -> Client:
    client = Client(url)
    context.call_on_close(client.close)
    return client


url_option = click.option(
    "--url",
    "client",
    default=f"http://127.0.0.1:{PORT}",
    show_default=True,
    callback=_open_client,
    help="URL of the app; the default port is REFLEX_BACKEND_PORT, or 8000.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
batch_argument = click.argument("batch_id", metavar="BATCH", type=parse_batch_id)
