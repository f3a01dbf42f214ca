"""The command `check`, which needs no running app."""

from __future__ import annotations

import click

from solo_app.cli.output import CommandError


@click.command()
def check() -> None:
    """Check the settings, the declared sources and the database. Stop the app first.

    Example: python -m solo_app check
    """
    # Imported here: loading them takes longer than any other command.
    from solo_app.batches.errors import StoreUnavailableError
    from solo_app.batches.source import DeclaredSource
    from solo_app.config import SettingsError, read_settings
    from solo_app.sources import create_sources
    from solo_app.storage.duckdb.check import check_database

    try:
        settings = read_settings()
        sources = create_sources(settings, is_startup_check=True)
        check_database(settings.database)
    except (SettingsError, StoreUnavailableError) as error:
        raise CommandError(str(error)) from None
    is_new = not settings.database.exists()
    state = "does not exist yet and can be created" if is_new else "can be used"
    click.echo(f"The database {settings.database} {state}.")
    declared = [name for name, source in sources.items() if isinstance(source, DeclaredSource)]
    click.echo(f"Declared sources: {', '.join(declared) or 'none'}.")
