"""The commands `push` and `export`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

import click

from solo_app.cli.client import Client
from solo_app.cli.options import batch_argument, json_option, url_option
from solo_app.cli.output import CommandError, print_result

MAX_LINE_BYTES = 65_536
"""The server rejects longer lines."""


@click.command(context_settings={"ignore_unknown_options": True})  # Allows negative numbers.
@batch_argument
@click.argument("numbers", nargs=-1, type=float, metavar="[NUMBER]...")
@url_option
@json_option
def push(batch_id: str, client: Client, numbers: tuple[float, ...], as_json: bool) -> None:
    """Store numbers, or lines of standard input as they arrive.

    A line is a number or {"key": number}. The first point starts the batch. An invalid line ends
    the command; the lines before it are stored. NUMBER arguments are stored atomically.

    \b
    Examples:
      python -m solo_app push kiln 21.5
      some-program | python -m solo_app push kiln
    """
    path = f"/batches/{batch_id}/points"
    if numbers:
        result = client.post(path, json.dumps(numbers))
    else:
        result = _push_lines(client, path, sys.stdin.buffer)  # type: ignore[arg-type]
    seqs = f"seq {result['first_seq']} to {result['last_seq']}"
    print_result(as_json, result, f"{batch_id}: {_stored(result['count'])}, {seqs}")


def _stored(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'} stored"


def read_lines(file: BufferedReader) -> Iterator[bytes]:
    """Yield whole lines as soon as they are available, any number at a time."""
    rest = b""
    while chunk := file.read1(MAX_LINE_BYTES):
        lines, line_break, rest = (rest + chunk).rpartition(b"\n")
        yield lines + line_break
        if len(rest) > MAX_LINE_BYTES:  # The server rejects the line.
            break
    yield rest


def _push_lines(client: Client, path: str, file: BufferedReader) -> dict[str, Any]:
    """Store lines with one request per read.

    A single request would neither notice that the batch is stopped between two lines, nor survive
    a restart of the app or a proxy that limits the time of a request.
    """
    result: dict[str, Any] = {}
    first_seq, stored, line_count = None, 0, 0
    try:
        for lines in read_lines(file):
            if lines.strip():
                result = client.post(path, lines, "application/x-ndjson")
                first_seq = first_seq or result["first_seq"]
                stored += result["count"]
            line_count += lines.count(b"\n")
    except CommandError as error:
        line = line_count + error.problem.get("line", 0)
        text = re.sub(r"^Line [0-9]+ ", f"Line {line} ", error.message)
        stored += error.problem.get("count", 0)
        text += "" if "count" in error.problem else " At least"
        raise CommandError(f"{text} {_stored(stored)}.") from None
    if not result:
        raise CommandError("Standard input has no points.")
    return {**result, "first_seq": first_seq, "count": stored}


@click.command()
@batch_argument
@click.option("--format", "file_format", type=click.Choice(["csv", "json", "parquet"]))
@click.option("--from", "start", metavar="TIME", help="Start of the range (ISO 8601), inclusive.")
@click.option("--to", "end", metavar="TIME", help="End of the range (ISO 8601), exclusive.")
@url_option
def export(
    batch_id: str, client: Client, file_format: str | None, start: str | None, end: str | None
) -> None:
    """Write the points of a batch to standard output, as CSV (default), JSON or Parquet.

    If the output is incomplete, the exit code is 1.

    Example: python -m solo_app export kiln --format parquet > kiln.parquet
    """
    if file_format == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is binary. Redirect standard output to a file.")
    options = {"format": file_format, "from": start, "to": end}
    query = {name: value for name, value in options.items() if value is not None}
    path = f"/batches/{batch_id}/download"
    # The server creates a Parquet file before it sends the first byte.
    with client.stream("GET", path, read_timeout=600, params=query) as response:
        for chunk in response.iter_bytes():
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
