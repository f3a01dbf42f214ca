"""Whether a database file can be used, told in one line for a person."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb.tally import missing, tally_of

if TYPE_CHECKING:
    import duckdb

State = tuple[tuple[int, int, int] | None, ...]

TABLES = {
    "batches": {"no", "batch_id", "created_at"},
    "runs": {
        "batch_no",
        "number",
        "source",
        "status",
        "reason",
        "started_at",
        "ended_at",
        "first_seq",
        "last_seq",
    },
    "points": {"batch_no", "seq", "ts", "key"},
    "minutes": {"batch_no", "minute", "count", "sum", "min", "max"},
    "losses": {"batch_no", "first_seq", "last_seq"},
    "archives": {"batch_no", "first_seq", "last_seq", "file"},
}
"""The tables of a database of this project, and their columns."""


CHECKED: dict[Path, State] = {}
"""Databases that ``check`` found usable in another process, and their state then."""

OFFLINE: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
"""How every connection is configured: DuckDB would fetch what a foreign file needs, say."""


def check(path: Path) -> None:
    """See whether a database could be opened there, and leave everything as it is.

    Raises StoreUnavailableError.
    """
    import duckdb

    try:
        with _folder_of(path):
            check_left(path)  # Names the process when one has the file open to write.
            if path.exists():
                _check_nobody_reads(path)
            may = os.access(path.parent, os.W_OK) and (
                not path.exists() or os.access(path, os.W_OK)
            )
    except (duckdb.Error, OSError) as error:
        raise StoreUnavailableError(advice(path, error)) from error
    if not may:
        raise StoreUnavailableError(advice(path, PermissionError()))


def check_left(path: Path) -> None:
    """Refuse what an earlier process left when a part of it is missing; changes nothing.

    Raises StoreUnavailableError, duckdb.Error.
    """
    import duckdb

    if not path.exists():
        if left := [file for file in (log_of(path), tally_of(path)) if file.exists()]:
            raise StoreUnavailableError(
                f"The database {path} is gone, but {_listed(left)} of it is there. Put the "
                "database back, or move that away to begin anew, or choose another file with "
                "SOLO_DATABASE."
            )
        return
    log = log_of(path)
    if is_no_log(log):
        raise StoreUnavailableError(
            f"The database {path} is not whole: its log {log} is damaged. Nothing was changed. "
            f"Put the right file back, or choose another with SOLO_DATABASE, or {_REPAIR} {path}"
        )
    with duckdb.connect(path, read_only=True, config=OFFLINE) as connection:
        check_whole(path, connection)
        if lacking := missing(path, connection):
            raise StoreUnavailableError(
                f"The database {path} is not whole: {lacking}, because its log {log} was cut, "
                "damaged or taken away. Nothing was changed. Put the right file back, or "
                f"choose another with SOLO_DATABASE, or {_REPAIR} {path}"
            )


def state_of(path: Path) -> State:
    """Tells whether anybody has written a database or what lies beside it: the same, nobody did."""
    return tuple(map(_state_of_file, (path, log_of(path), tally_of(path))))


def _state_of_file(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:  # Nothing there; whatever else is wrong shows when it is opened.
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def was_checked(path: Path) -> bool:
    """Whether a database is in the very state in which it was found usable."""
    return CHECKED.get(path) == state_of(path)


def was_ended(path: Path) -> bool:
    """Whether a database is one file alone, as an orderly end leaves it.

    DuckDB changes nothing when it opens that: it can be looked into when it is open.
    """
    return path.exists() and not log_of(path).exists() and not tally_of(path).exists()


def log_of(path: Path) -> Path:
    """The file in which DuckDB keeps what it has not folded into a database."""
    return path.with_name(f"{path.name}.wal")


def is_no_log(file: Path) -> bool:
    """Whether a file in the place of a log is none, whatever else it may be."""
    if not file.exists():
        return False
    with file.open("rb") as opened:
        return not _LOG_BEGINS.startswith(opened.read(len(_LOG_BEGINS)))


def _listed(files: list[Path]) -> str:
    return " and ".join(str(file) for file in files)


_LOG_BEGINS = b"\x64\x00\x62"
"""DuckDB passes over a log that begins otherwise, and writes its own in its place."""

_REPAIR = (
    "go on with what is there, everything kept aside first: "
    "python -m solo_app.storage.duckdb repair"
)


def check_whole(path: Path, connection: duckdb.DuckDBPyConnection) -> bool:
    """Refuse what ``check_content`` refuses, and a file with damage where a start reads.

    Gives whether it has all tables. Raises StoreUnavailableError, duckdb.Error.
    """
    has_all = check_content(path, connection)
    read_what_a_start_needs(connection)
    return has_all


def check_content(path: Path, connection: duckdb.DuckDBPyConnection) -> bool:
    """Refuse a file that is cut short, or that holds another program's tables of our names.

    Gives whether it has all tables. Raises StoreUnavailableError.
    """
    (size,) = connection.execute(
        "SELECT coalesce(max(block_size * used_blocks), 0) FROM pragma_database_size()"
    ).fetchall()[0]
    if path.stat().st_size < size:
        raise StoreUnavailableError(
            f"The database {path} is cut short: {path.stat().st_size} of at least {size} bytes "
            "are there. Put a good copy in its place, or choose another file with SOLO_DATABASE."
        )
    has_all = True
    for table, columns in TABLES.items():
        found = _columns_of(table, connection)
        has_all = has_all and bool(found)
        if found and found != columns:
            raise StoreUnavailableError(
                f"The database {path} is another program's: its table {table} is not of this "
                "kind. Nothing in it was changed; choose another file with SOLO_DATABASE."
            )
    return has_all


def read_what_a_start_needs(connection: duckdb.DuckDBPyConnection) -> None:
    """Read every block of the tables that are not large: what is damaged there shows only so.

    Raises duckdb.Error.
    """
    import duckdb

    # Hashed, because DuckDB answers for the highest from what it knows without reading.
    for table in TABLES.keys() - {"points"}:
        with suppress(duckdb.CatalogException):  # Of an earlier version, or killed before it was.
            connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {table}").fetchall()  # noqa: S608 (a constant)


def _columns_of(table: str, connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The columns of a table; none when there is no such table.

    Asked by a query that reads nothing: the first look into DuckDB's catalogue, with its
    hundreds of built-in views, takes ten times as long.
    """
    import duckdb

    try:
        result = connection.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608 (a constant)
    except duckdb.CatalogException:
        return set()
    names = {name for name, *_ in result.description}
    result.fetchall()
    return names


def advice(path: Path, error: Exception) -> str:
    """One line for a person: what is wrong with the database file and what to do about it."""
    text = str(error)
    if isinstance(error, BlockingIOError) or "Could not set lock" in text:
        return (
            f"The database {path} is in use by another process{_holder(text)}; "
            "stop that one, or choose another file with SOLO_DATABASE."
        )
    read_only = os.strerror(errno.EROFS)
    if isinstance(error, PermissionError) or "Permission denied" in text or read_only in text:
        return (
            f"The database {path} may not be written; give this user the right to write it "
            "and its folder, or choose another file with SOLO_DATABASE."
        )
    if tells_of_no_room(error):
        return f"{_no_room(path)} Make room, or choose another file with SOLO_DATABASE."
    if isinstance(error, OSError):
        return (
            f"The folder {path.parent} cannot be used ({error.strerror}); "
            "choose another file with SOLO_DATABASE."
        )
    if "created with a newer version" in text:
        return (
            f"The database {path} was written by a newer DuckDB; nothing in it was changed. Use "
            "the release that wrote it, or choose another file with SOLO_DATABASE. "
            f"DuckDB says: {one_line(error)}"
        )
    return (
        f"The database {path} cannot be opened; nothing in it was changed. Put a good copy in its "
        f"place, or choose another file with SOLO_DATABASE, or {_REPAIR} {path} -- "
        f"DuckDB says: {one_line(error)}"
    )


def refusal(path: Path, error: Exception) -> str:
    """Why the open database did not take something, in one line."""
    if tells_of_no_room(error):
        return _no_room(path)
    return f"The database refused it: {one_line(error)}"


def tells_of_no_room(error: Exception) -> bool:
    """Whether something failed because the disk is full."""
    return os.strerror(errno.ENOSPC) in str(error)


def _no_room(path: Path) -> str:
    return f"There is no room left on the disk of {path}."


def one_line(error: Exception) -> str:
    """What an error says, short enough to be read."""
    return " ".join(str(error).split())[:200]


def _holder(text: str) -> str:
    _, found, rest = text.partition("PID ")
    pid = rest.split(" ")[0].rstrip(").,") if found else ""
    return f" (process {pid})" if pid.isdigit() else ""


def _check_nobody_reads(path: Path) -> None:
    """Raise BlockingIOError when any process has the file open as a database.

    DuckDB locks its file as a whole; to read only, it lets other readers in.
    """
    with path.open("rb+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """See that the folder of a file is there or could be made; what is made is taken away."""
    missing = [folder for folder in path.parents if not folder.exists()]
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            folder.mkdir()
            made.append(folder)
        if not path.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        yield
    finally:
        for folder in reversed(made):
            folder.rmdir()
