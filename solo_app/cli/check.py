"""The command `check`, which needs no running app."""

from __future__ import annotations

from pathlib import Path

import click

from solo_app.cli.output import CommandError


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(file: Path | None) -> None:
    """Check the settings, the declared sources and the database. Stop the app first.

    With FILE, checks only whether the app can open this database. Changes nothing.

    Example: python -m solo_app check
    """
    from solo_app.batches.errors import StoreUnavailableError
    from solo_app.config import SettingsError, read_settings
    from solo_app.sources import create_sources
    from solo_app.storage.duckdb.check import check_database

    try:
        if file is None:
            settings = read_settings()
            create_sources(settings)
            path = settings.database
        else:
            path = file.expanduser()
        check_database(path)
    except (SettingsError, StoreUnavailableError) as error:
        raise CommandError(str(error)) from None
    state = "can be used" if path.exists() else "does not exist yet and can be created"
    click.echo(f"The database {path} {state}.")
