"""The command `tail`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from solo_app.cli.client import Client
from solo_app.cli.options import batch_argument, json_option, url_option
from solo_app.cli.output import CommandError, print_message, print_result


@click.command()
@batch_argument
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="Start after this point; 0 = all points.  [default: the latest point]",
)
@url_option
@json_option
def tail(batch_id: str, client: Client, after: int | None, as_json: bool) -> None:
    """Print points as they are stored, until the batch ends.

    Reconnects after a lost connection or a restart of the app, without gaps or duplicates.
    The columns are time, seq and value.

    Example: python -m solo_app tail kiln --after 0
    """
    batch = client.request("GET", f"/batches/{batch_id}")
    # With a position, a stream that is lost before its first event resumes without gaps.
    position = batch["row_count"] if after is None else after
    for document in _follow(client, batch_id, position):
        if "status" in document:
            print_message(f"{batch_id}: {document['status']}")
        else:
            text = f"{document['ts']}  {document['seq']}  {document['data']['key']}"
            print_result(as_json, document, text)


def _follow(client: Client, batch_id: str, position: int) -> Iterator[dict[str, Any]]:
    """Yield the data of events after a position, ending with the status. Reconnects."""
    is_connected = True
    while True:
        try:
            headers = {"Last-Event-ID": str(position)}
            with client.stream("GET", f"/stream/{batch_id}", headers=headers) as response:
                is_connected = True
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        document = json.loads(line.removeprefix("data: "))
                        yield document
                        if "status" in document:
                            return
                        position = document["seq"]
                if response.status_code == 204:
                    print_message(f"{batch_id}: ended, no more points")
                    return
        except (CommandError, ValueError) as error:  # ValueError: the last line is incomplete.
            if isinstance(error, CommandError) and error.problem.get("status", 500) < 500:
                raise
        if is_connected:
            print_message("Connection lost. Reconnecting.")
        is_connected = False
        time.sleep(1)
