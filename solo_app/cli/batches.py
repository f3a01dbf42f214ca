"""The commands `start`, `stop`, `list` and `agg`."""

from __future__ import annotations

import json
from typing import Any

import click

from solo_app.cli.client import Client, RefusedError
from solo_app.cli.options import BatchIdType, batch_argument, json_option, url_option
from solo_app.cli.output import print_json, print_message, print_table

STATUSES = ("running", "stopped", "failed", "interrupted", "finished")


def parse_parameter(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE: a value that is not JSON is text. Raises click.BadParameter."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--parameter")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


@click.command()
@batch_argument
@click.option("--source", help="Source kind or declared source.")
@click.option(
    "--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="Parameter; repeatable."
)
@click.option("--restart", type=click.Choice(["never", "on-failure"]), help="Restart policy.")
@click.option("--unit", help="Unit of the values.")
@click.option("--description", help="Description of the batch.")
@url_option
@json_option
def start(
    batch_id: str, client: Client, as_json: bool, parameters: tuple[str, ...], **fields: str | None
) -> None:
    """Start a batch, or a new run of a batch that has ended.

    Options default to those of the latest run; the source of the first run is random. A VALUE that
    is valid JSON is sent as JSON, any other as text: interval=0.5, pointer=/main/temp.

    Example: python -m solo_app start cpu --source host --parameter metric=load_1m
    """
    body: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if parameters:
        body["parameters"] = dict(map(parse_parameter, parameters))
    path = f"/stream/{batch_id}"
    if body:
        response = client.post(path, json.dumps(body), "application/json")
    else:
        response = client.request("POST", path)
    if as_json:
        print_json(response)
    else:
        click.echo(f"{batch_id}: started")


@click.command()
@click.argument("batch_ids", metavar="BATCH...", nargs=-1, required=True, type=BatchIdType())
@url_option
@json_option
def stop(batch_ids: tuple[str, ...], client: Client, as_json: bool) -> None:
    """Stop batches. Returns after their last points are stored.

    A batch that has already ended is not an error. After an error, the other batches are stopped.

    Example: python -m solo_app stop cpu kiln
    """
    stopped, has_failed = [], False
    for batch_id in batch_ids:
        try:
            stopped.append(client.request("DELETE", f"/stream/{batch_id}"))
        except RefusedError as error:
            has_failed = True
            print_message(error.message)
            continue
        if not as_json:
            click.echo(f"{batch_id}: stopped")
    if as_json:
        print_json(stopped)
    if has_failed:
        raise click.exceptions.Exit(1)


@click.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only batches with this status.")
@url_option
@json_option
def list_batches(client: Client, status: str | None, as_json: bool) -> None:
    """List all batches, most recent start first.

    Example: python -m solo_app list --status running
    """
    batches = _all_batches(client, status)
    if as_json:
        print_json({"batches": batches})
        return
    header = ("BATCH", "STATUS", "SOURCE", "RUN", "STARTED", "ENDED", "POINTS", "ERROR")
    print_table([header, *map(_row, batches)])


def _all_batches(client: Client, status: str | None) -> list[dict[str, Any]]:
    """Return the batches of all pages, without duplicates if a batch starts in between."""
    batches: dict[str, dict[str, Any]] = {}
    query = {"limit": "1000", **({"status": status} if status else {})}
    page = client.request("GET", "/batches", params=query)
    while True:
        for batch in page["batches"]:
            batches.setdefault(batch["batch_id"], batch)
        if not page["next"]:
            return list(batches.values())
        page = client.request("GET", page["next"])


def _row(batch: dict[str, Any]) -> list[object]:
    error = batch["retry"]["error"] if batch["retry"] else batch["reason"]
    return [
        *(batch[name] for name in ("batch_id", "status", "source", "run")),
        _to_second(batch["started_at"]),
        _to_second(batch["ended_at"]),
        batch["row_count"],
        error or "",
    ]


def _to_second(time: str | None) -> str | None:
    return f"{time[:19]}Z" if time else None


@click.command()
@batch_argument
@click.option("--at", metavar="TIME", help="Compute the result as of this ISO 8601 time.")
@url_option
@json_option
def agg(batch_id: str, client: Client, at: str | None, as_json: bool) -> None:
    """Print average, sum and count of the last full minute.

    Example: python -m solo_app agg kiln --at 2026-11-23T10:11:30Z
    """
    result = client.request("GET", f"/agg/{batch_id}", params={"at": at} if at else None)
    if as_json:
        print_json(result)
    else:
        print_table(list(result.items()))
