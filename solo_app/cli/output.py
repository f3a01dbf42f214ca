"""Terminal output: errors, JSON and tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

import click


class CommandError(click.ClickException):
    """A command failed. Shows one line; the exit code is 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        print_message(self.message)


def printable(text: object) -> str:
    """Escape line breaks and control characters, which could change the state of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def print_message(text: str) -> None:
    click.echo(printable(text), err=True)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document))


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows with aligned columns. None is shown as "-"."""
    cells = [["-" if cell is None else printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
