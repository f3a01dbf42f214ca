"""The commands `start`, `stop`, `list` and `agg`."""

from __future__ import annotations

import json
from typing import Any

import click

from solo_app.cli.client import Client
from solo_app.cli.options import batch_argument, json_option, parse_batch_id, url_option
from solo_app.cli.output import format_table, print_result

STATUSES = ("running", "stopped", "failed", "interrupted", "finished")


def parse_parameter(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE: a value that is not JSON is text. Raises ValueError."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError(f"{text!r} is not NAME=VALUE.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


@click.command()
@batch_argument
@click.option("--source", help="Source kind or declared source.")
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    type=parse_parameter,
    help="Parameter; repeatable.",
)
@click.option("--restart", type=click.Choice(["never", "on-failure"]), help="Restart policy.")
@click.option("--unit", help="Unit of the values.")
@click.option("--description", help="Description of the batch.")
@url_option
@json_option
def start(
    batch_id: str,
    client: Client,
    as_json: bool,
    parameters: tuple[tuple[str, Any], ...],
    **fields: str | None,
) -> None:
    """Start a batch, or a new run of a batch that has ended.

    Options default to those of the latest run; a first run uses the source random. A VALUE that
    is valid JSON is sent as JSON, any other as text: interval=0.5, pointer=/main/temp.

    Example: python -m solo_app start cpu --source host --parameter metric=load_1m
    """
    body = {**fields, "parameters": dict(parameters) or None}
    response = client.post(f"/stream/{batch_id}", json.dumps(body))
    print_result(as_json, response, f"{batch_id}: started")


@click.command()
@click.argument("batch_ids", metavar="BATCH...", nargs=-1, required=True, type=parse_batch_id)
@url_option
@json_option
def stop(batch_ids: tuple[str, ...], client: Client, as_json: bool) -> None:
    """Stop batches. Returns after their last points are stored.

    Stopping a batch that has already ended is not an error.

    Example: python -m solo_app stop cpu kiln
    """
    for batch_id in batch_ids:
        response = client.request("DELETE", f"/stream/{batch_id}")
        print_result(as_json, response, f"{batch_id}: stopped")


@click.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only batches with this status.")
@url_option
@json_option
def list_batches(client: Client, status: str | None, as_json: bool) -> None:
    """List all batches, most recent start first.

    Example: python -m solo_app list --status running
    """
    batches: list[dict[str, Any]] = []
    page = "/batches?limit=1000" + (f"&status={status}" if status else "")
    while page:
        document = client.request("GET", page)
        batches += document["batches"]
        page = document["next"]
    header = ("BATCH", "STATUS", "SOURCE", "RUN", "STARTED", "ENDED", "POINTS", "ERROR")
    print_result(as_json, {"batches": batches}, format_table([header, *map(_row, batches)]))


def _row(batch: dict[str, Any]) -> list[object]:
    return [
        *(batch[name] for name in ("batch_id", "status", "source", "run")),
        *(batch[name] and f"{batch[name][:19]}Z" for name in ("started_at", "ended_at")),
        batch["row_count"],
        batch["retry"]["error"] if batch["retry"] else batch["reason"],
    ]


@click.command()
@batch_argument
@click.option("--at", metavar="TIME", help="Compute the result as of this ISO 8601 time.")
@url_option
@json_option
def agg(batch_id: str, client: Client, at: str | None, as_json: bool) -> None:
    """Print the average, sum and count of the last full minute.

    Example: python -m solo_app agg kiln --at 2026-11-23T10:11:30Z
    """
    result = client.request("GET", f"/agg/{batch_id}", params={"at": at} if at else None)
    print_result(as_json, result, format_table(list(result.items())))
