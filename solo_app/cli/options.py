"""Shared arguments and options."""

from __future__ import annotations

import os
import re
from typing import Any

import click

from solo_app.cli.client import Client


class BatchIdType(click.ParamType[str]):
    """A batch id. Checked before the request, because ``..`` would change the path of its URL."""

    name = "batch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            rule = "1 to 64 letters, digits, dots, underscores or hyphens"
            self.fail(f"Use {rule}, beginning with a letter or digit.", param, ctx)
        return str(value)


def _default_url() -> str:
    return f"http://127.0.0.1:{os.environ.get('REFLEX_BACKEND_PORT', '').strip() or 8000}"


def _open_client(context: click.Context, _: click.Parameter, url: str) -> Client:
    try:
        client = Client(url)
    except ValueError:
        text = f"{url!r} is not a URL such as http://127.0.0.1:8000."
        raise click.BadParameter(text) from None
    context.call_on_close(client.close)
    return client


url_option = click.option(
    "--url",
    "client",
    default=_default_url,
    callback=_open_client,
    help="URL of the app.  [default: http://127.0.0.1, port REFLEX_BACKEND_PORT or 8000]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
batch_argument = click.argument("batch_id", metavar="BATCH", type=BatchIdType())
