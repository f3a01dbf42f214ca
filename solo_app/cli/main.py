"""`python -m solo_app`: the group of all commands."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from solo_app.cli.batches import agg, list_batches, start, stop
from solo_app.cli.check import check
from solo_app.cli.output import CommandError
from solo_app.cli.points import export, push
from solo_app.cli.tail import tail


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)  # 128 + SIGINT, as in a shell.
        except BrokenPipeError:
            raise  # click exits silently.
        except OSError as error:
            # Python would report it again when it flushes standard output at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CommandError(f"Input or output failed ({error.strerror}).") from None


@click.group(cls=_Group, commands=[start, stop, list_batches, tail, agg, push, export, check])
def main() -> None:
    """Control SOLO, a live console for background data batches, from a shell.

    All commands except check send requests to a running app (--url). Data is written to standard
    output, errors to standard error; times are UTC.

    \b
    Exit codes:
      0    success
      1    the command failed; each error is one line
      2    invalid arguments
      130  Ctrl-C

    Example: python -m solo_app start cpu --source host
    """
    # Units and descriptions may contain characters that the locale cannot encode.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
