"""`python -m solo_app check [FILE]`: checks whether the app can open a database file.

Without a file, checks the settings and the declared sources too. Prints one line and changes
nothing. The exit code is 1 if a check fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError
from solo_app.config import SettingsError, read_settings
from solo_app.sources import create_sources

USAGE = "Usage: python -m solo_app check [FILE]   (default: SOLO_DATABASE)"


def main(arguments: list[str]) -> str | None:
    """Run a command. Returns the error message, None on success."""
    match arguments:
        case ["check"]:
            try:
                settings = read_settings()
                create_sources(settings)
                path = settings.database
            except SettingsError as error:
                return str(error)
        case ["check", file]:
            path = Path(file).expanduser()
        case _:
            return USAGE
    from solo_app.storage.duckdb.check import check_database

    try:
        check_database(path)
    except StoreUnavailableError as error:
        return str(error)
    state = "can be used" if path.exists() else "does not exist yet and can be created"
    sys.stdout.write(f"The database {path} {state}.\n")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
