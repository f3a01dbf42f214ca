"""Errors of DuckDB: their kinds, and one-line messages for users.

DuckDB reports some conditions only in the text of the error.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb


def format_open_error(path: Path, error: Exception) -> str:
    """Return one line that states why the database cannot be opened, and what to do."""
    text = str(error)
    if isinstance(error, BlockingIOError) or "Could not set lock" in text:
        return (
            f"The database {path} is in use by another process{_lock_owner(text)}. "
            "Stop that process, or choose another file with SOLO_DATABASE."
        )
    read_only = os.strerror(errno.EROFS)
    if isinstance(error, PermissionError) or "Permission denied" in text or read_only in text:
        return (
            f"The database {path} is not writable. Give this user write permission for it and "
            "its folder, or choose another file with SOLO_DATABASE."
        )
    if _is_disk_full(error):
        return f"{_disk_full(path)} Free some space, or choose another file with SOLO_DATABASE."
    if isinstance(error, OSError):
        return (
            f"The folder {path.parent} cannot be used ({error.strerror}). "
            "Choose another file with SOLO_DATABASE."
        )
    if "created with a newer version" in text:
        return (
            f"The database {path} was written by a newer DuckDB. Nothing in it was changed. "
            "Update SOLO, or choose another file with SOLO_DATABASE. "
            f"DuckDB reports: {one_line(error)}"
        )
    return (
        f"The database {path} cannot be opened. Nothing in it was changed. Restore a backup, or "
        f"choose another file with SOLO_DATABASE. DuckDB reports: {one_line(error)}"
    )


def format_write_error(path: Path, error: Exception) -> str:
    """Return one line that states why the open database rejected a write."""
    if _is_disk_full(error):
        return _disk_full(path)
    return f"The database rejected the write: {one_line(error)}"


def _is_disk_full(error: Exception) -> bool:
    return os.strerror(errno.ENOSPC) in str(error)


def one_line(error: Exception) -> str:
    """Return the text of an error without line breaks, at most 200 characters."""
    return " ".join(str(error).split())[:200]


def _disk_full(path: Path) -> str:
    return f"No space left on the disk of {path}."


def _lock_owner(text: str) -> str:
    _, found, rest = text.partition("PID ")
    pid = rest.split(" ")[0].rstrip(").,") if found else ""
    return f" (process {pid})" if pid.isdigit() else ""


def is_fatal(error: BaseException | None) -> bool:
    """Return whether an error or its cause invalidates the instance."""
    if isinstance(error, duckdb.FatalException | duckdb.InternalException):
        return True
    return error is not None and is_fatal(error.__cause__)
