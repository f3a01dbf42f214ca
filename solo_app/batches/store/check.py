"""Whether a database file can be used, told in one line for a person."""

from __future__ import annotations

import os
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError


def advice(path: Path, error: Exception) -> str:
    """One line for a person: what is wrong with the database file and what to do about it."""
    text = one_line(error)
    if "Could not set lock" in text or "Conflicting lock" in text:
        return (
            f"The database {path} is in use by another process{_holder(text)}; "
            "stop that one, or choose another file with SOLO_DATABASE."
        )
    folder = path.parent
    if isinstance(error, PermissionError) or "Permission denied" in text:
        return (
            f"The database {path} may not be written; give this user the right to write it "
            "and its folder, or choose another file with SOLO_DATABASE."
        )
    if isinstance(error, OSError):
        return (
            f"The folder {folder} cannot be used ({error.strerror}); "
            "choose another file with SOLO_DATABASE."
        )
    return (
        f"The database {path} cannot be opened; nothing in it was changed. Put a good copy in "
        f"its place, or choose another file with SOLO_DATABASE. DuckDB says: {text}"
    )


def one_line(error: Exception) -> str:
    """What an error says, short enough to be read."""
    return " ".join(str(error).split())[:200]


def _holder(text: str) -> str:
    _, found, rest = text.partition("PID ")
    pid = rest.split(" ")[0].rstrip(").,") if found else ""
    return f" (process {pid})" if pid.isdigit() else ""


def check(path: Path) -> None:
    """See whether a database could be opened there, without changing anything in it.

    Makes the folder when it is missing. Raises StoreUnavailableError.
    """
    import duckdb

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            duckdb.connect(path, read_only=True).close()
        writable = os.access(path if path.exists() else path.parent, os.W_OK)
    except (duckdb.Error, OSError) as error:
        raise StoreUnavailableError(advice(path, error)) from error
    if not writable:
        raise StoreUnavailableError(advice(path, PermissionError()))
