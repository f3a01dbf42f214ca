"""The commands `push` and `export`."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import click

from solo_app.cli.client import Client, ConnectionLostError, RefusedError
from solo_app.cli.options import batch_argument, json_option, url_option
from solo_app.cli.output import CommandError, print_json, print_message

MAX_LINE_BYTES = 65_536
"""The server rejects longer lines."""

DOWNLOAD_TIMEOUT = 600
"""Seconds without data. The server creates a Parquet file before it sends the first byte."""


@click.command(context_settings={"ignore_unknown_options": True})  # Negative numbers.
@batch_argument
@click.argument("numbers", nargs=-1, type=float, metavar="[NUMBER]...")
@url_option
@json_option
def push(batch_id: str, client: Client, numbers: tuple[float, ...], as_json: bool) -> None:
    """Store numbers, or lines of standard input as they arrive.

    A line is a number or {"key": number}. The first point starts the batch. An invalid line ends
    the command; the lines before it are stored. NUMBER arguments are stored
    atomically.

    \b
    Examples:
      python -m solo_app push kiln 21.5
      some-program | python -m solo_app push kiln
    """
    if not all(math.isfinite(number) for number in numbers):
        raise click.BadParameter("NUMBER must be finite.")
    path = f"/batches/{batch_id}/points"
    if numbers:
        result = client.post(path, json.dumps(numbers), "application/json")
    else:
        result = _push_lines(client, path, sys.stdin.buffer)  # type: ignore[arg-type]
    if as_json:
        print_json(result)
    else:
        first, last = result["first_seq"], result["last_seq"]
        click.echo(f"{batch_id}: {_stored(result['count'])}, seq {first} to {last}")


def _stored(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'} stored"


def read_lines(file: BufferedReader) -> Iterator[bytes]:
    """Yield whole lines as soon as they are available, one or more at a time."""
    rest = b""
    while chunk := file.read1(MAX_LINE_BYTES):
        lines, line_break, last = (rest + chunk).rpartition(b"\n")
        if line_break:
            yield lines + line_break
        rest = last
        if len(rest) > MAX_LINE_BYTES:  # Limits memory. The server rejects the line.
            yield rest
            rest = b""
    if rest:
        yield rest


def _push_lines(client: Client, path: str, file: BufferedReader) -> dict[str, Any]:
    """Store lines with one request per read, so that errors can state which of them are stored.

    A single request could neither report an error between two lines nor survive a restart.
    """
    result: dict[str, Any] = {}
    first_seq, stored, line_count, lines = None, 0, 0, b""
    try:
        for lines in read_lines(file):
            if lines.strip():
                result = client.post(path, lines, "application/x-ndjson")
                first_seq = first_seq or result["first_seq"]
                stored += result["count"]
            line_count += lines.count(b"\n")
    except CommandError as error:
        text = error.message
        if isinstance(error, RefusedError):
            stored += error.problem.get("count", 0)
            line = line_count + error.problem.get("line", 1)
            text = f"Line {line}: {re.sub(r'^Line [0-9]+ ', 'The line ', text)}"
        text += f" {_stored(stored)}."
        if isinstance(error, ConnectionLostError):
            last = line_count + max(1, lines.count(b"\n"))
            text += f" Lines {line_count + 1} to {last} may be stored too."
        raise CommandError(text) from None
    except KeyboardInterrupt:
        print_message(f"{_stored(stored)}.")
        raise
    if not result:
        raise CommandError("Standard input has no points.")
    return {**result, "first_seq": first_seq, "count": stored}


@click.command()
@batch_argument
@click.option("--format", "file_format", type=click.Choice(["csv", "json", "parquet"]))
@click.option("--from", "start", metavar="TIME", help="Start of the range (ISO 8601), inclusive.")
@click.option("--to", "end", metavar="TIME", help="End of the range (ISO 8601), exclusive.")
@click.option("--output", type=click.Path(path_type=Path), help="File to create or replace.")
@url_option
def export(batch_id: str, client: Client, output: Path | None, **options: str | None) -> None:
    """Download the points of a batch as CSV (default), JSON or Parquet.

    Without --output, writes to standard output. If the download is incomplete, the exit code is 1,
    and the file is not created or replaced.

    Example: python -m solo_app export kiln --format parquet --output kiln.parquet
    """
    if output is None and options["file_format"] == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is binary. Use --output, or redirect standard output.")
    names = {"file_format": "format", "start": "from", "end": "to"}
    query = {names[option]: value for option, value in options.items() if value is not None}
    path = f"/batches/{batch_id}/download"
    with (
        client.stream(path, DOWNLOAD_TIMEOUT, params=query) as response,
        _open_output(output) as file,
    ):
        for chunk in response.iter_bytes():
            file.write(chunk)
        file.flush()


@contextmanager
def _open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` if the block succeeds; or standard output."""
    if path is None:
        yield sys.stdout.buffer
        return
    path = path.resolve()  # Follow symbolic links.
    if path.exists() and not path.is_file():
        raise CommandError(f"{path} is not a regular file.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror}).") from None
    finally:
        temporary.unlink(missing_ok=True)
