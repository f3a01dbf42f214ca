"""The tally: how many points were committed at least, kept in a small file beside the database.

DuckDB opens a file whose log was cut short or taken away without a word, and without the points
that were in it. So the store notes after each commit how many points there are. It does not
wait for the disk to do so: after a loss of power the tally may be older than the database or
unreadable, and then says nothing; newer it cannot be. An orderly end takes it away.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from solo_app.storage.duckdb.counted import counted, open_runs

if TYPE_CHECKING:
    import duckdb

_LENGTH = 4096
_NEWEST = 20


@dataclass(frozen=True, slots=True)
class Tail:
    """The last points of a batch, from ``first_seq`` to ``last_seq``, of which none is there.

    ``name`` is that of the batch, None where neither tally nor database knows it.
    """

    no: int
    name: str | None
    first_seq: int
    last_seq: int

    def __str__(self) -> str:
        return f"{self.last_seq - self.first_seq + 1} of {self.name or f'batch number {self.no}'}"


@dataclass(frozen=True, slots=True)
class Missing:
    """How many points are missing that were committed, and the tails of the batches known to
    have lost them."""

    points: int
    tails: list[Tail]

    def __str__(self) -> str:
        named = ", ".join(map(str, self.tails[:_TOLD]))
        return f"{self.points} committed points are missing{f' ({named})' if named else ''}"


_TOLD = 5


class Tally:
    """The file of a database that is open. All methods belong on the writer's thread."""

    def __init__(self, database: Path) -> None:
        self.names: dict[int, str] = {}
        """What the batches are called, by number: their own records may be lost too."""
        self._path = tally_of(database)
        self._file: int | None = None
        self._total = 0
        self._newest: dict[int, int] = {}

    def begin(self, total: int) -> None:
        """Count from so many points on, which the database holds now."""
        self._total = total
        self._newest = {}

    def add(self, batch_no: int, last_seq: int, count: int) -> None:
        """Note that ``count`` points of a batch are committed, up to ``last_seq``."""
        self._total += count
        self._newest.pop(batch_no, None)
        self._newest[batch_no] = last_seq
        if len(self._newest) > _NEWEST:
            del self._newest[next(iter(self._newest))]

    def write(self) -> None:
        """Put down what was noted. A disk that takes nothing leaves an older tally, or none."""
        content = json.dumps(self._noted()).encode()
        line = b"%08x %s\n" % (zlib.crc32(content), content)
        with suppress(OSError):
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            os.pwrite(self._file, line.ljust(_LENGTH), 0)

    def _noted(self) -> dict[str, object]:
        newest = {no: (seq, self.names.get(no)) for no, seq in self._newest.items()}
        return {"total": self._total, "newest": newest}

    def end(self, whole: bool) -> None:
        """Close the file; take it away when the database is ``whole`` without a log."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if whole:
            self._path.unlink(missing_ok=True)


def tally_of(database: Path) -> Path:
    """The file that holds the tally of a database."""
    return database.with_name(f"{database.name}.tally")


def missing(database: Path, connection: duckdb.DuckDBPyConnection) -> Missing | None:
    """What the tally of a database knows and the database does not hold; None when nothing."""
    try:
        checksum, _, content = tally_of(database).read_bytes().partition(b" ")
        content = content.rstrip()
        if int(checksum, 16) != zlib.crc32(content):
            return None
        noted = json.loads(content)
    except (OSError, ValueError):
        return None
    held = points_held(connection)
    lacking = noted["total"] - sum(held.values())
    if lacking <= 0:
        return None
    names = _names(connection)
    numbers = {name: no for no, name in names.items()}
    tails = []
    for noted_no, last in noted["newest"].items():
        # Earlier versions noted no names.
        last_seq, name = last if isinstance(last, list) else (last, names.get(int(noted_no)))
        no = numbers.get(name or "", int(noted_no))
        last_held = held.get(no, 0) if name in numbers else 0
        if last_seq > last_held:
            tails.append(Tail(no, name, last_held + 1, last_seq))
    return Missing(lacking, tails)


def points_held(connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
    """The last ``seq`` that a database holds of each batch, by number, without counting all."""
    if not _names(connection):
        return {}
    held = counted(connection)
    for no in open_runs(connection):
        folded = held.get(no, 0)
        ((more,),) = connection.execute(
            "SELECT count(*) FROM points WHERE batch_no = ? AND seq > ?", [no, folded]
        ).fetchall()
        held[no] = folded + more
    return held


def _names(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """The batches by number; none in a database that was killed before it had its tables."""
    import duckdb

    try:
        # Asked without DuckDB's catalogue: a first look into that takes longer than all the rest.
        connection.execute("SELECT 1 FROM runs, points, minutes LIMIT 0").fetchall()
        return dict(connection.execute("SELECT no, batch_id FROM batches").fetchall())
    except duckdb.CatalogException:
        return {}
