"""Terminal output: errors, JSON and tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

import click


class CommandError(click.ClickException):
    """A failed command. Prints one line and exits with 1.

    ``problem`` is the problem document of the server, or empty.
    """

    def __init__(self, message: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problem = problem or {}

    def show(self, file: IO[Any] | None = None) -> None:
        print_message(self.message)


def printable(text: object) -> str:
    """Escape line breaks and control characters, which could change the state of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def print_message(text: str) -> None:
    click.echo(printable(text), err=True)


def print_result(as_json: bool, document: Any, text: str) -> None:
    """Print the document as JSON, or the text."""
    click.echo(json.dumps(document) if as_json else text)


def format_table(rows: Sequence[Sequence[object]]) -> str:
    """Return lines with aligned columns. None is shown as "-"."""
    cells = [["-" if cell is None else printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
