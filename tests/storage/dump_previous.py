"""Writes ``previous.sql``: a database in the last format without a schema version, as SQL.

Run it in a checkout of commit 594b752: ``python .../dump_previous.py > previous.sql``. The
database has archived points, points that were lost with a WAL and recorded by ``repair``, a later
run, and a killed run with points that no minute includes.
"""

import asyncio
import shutil
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

BEGAN = datetime(2026, 3, 1, 10, 0, 30)


async def fill(folder: Path) -> Path:
    from solo_app.batches.store.repair import repair  # type: ignore[import-not-found]

    from solo_app.batches.retention import Retention
    from tests.workbench import (  # type: ignore[import-not-found]
        HandClock,
        Script,
        open_service,
        until,
    )

    clock = HandClock(BEGAN.isoformat())
    script = Script(clock)
    database, lossy, killed = (folder / f"{name}.duckdb" for name in ("a", "lossy", "killed"))

    async def add(service: Any, count: int) -> None:
        before = service.totals().row_count
        for n in range(1, count + 1):
            script.say(clock.now + timedelta(seconds=20), n + 0.25)
            await until(lambda: service.totals().row_count == before + n)  # noqa: B023

    async with open_service(database, clock, script=script) as service:
        await service.start("old", "script")
        await add(service, 6)
        await service.stop("old")
        clock.advance(days=5)
        await service.start("old", "script")
        await add(service, 3)
        await service.stop("old")
        await Retention(service._store, timedelta(days=2), clock).archive_old_points()  # noqa: SLF001 (an earlier version)
    async with open_service(database, clock, script=script) as service:
        await service.start("lossy", "script")
        await add(service, 3)
        for ending in ("", ".tally"):
            shutil.copy(f"{database}{ending}", f"{lossy}{ending}")
    repair(lossy, clock.now)
    async with open_service(lossy, clock, script=script) as service:
        await service.start("lossy", "script")
        await add(service, 4)
        await service.stop("lossy")
        await service.start("killed", "script")
        await add(service, 5)
        for ending in ("", ".wal"):
            shutil.copy(f"{lossy}{ending}", f"{killed}{ending}")
    return killed


def dump(database: Path) -> None:
    with duckdb.connect(database) as connection:
        tables = "SELECT table_name, sql FROM duckdb_tables() ORDER BY table_name"
        ((next_no,),) = connection.execute("SELECT max(no) + 1 FROM batches").fetchall()
        sys.stdout.write(f"CREATE SEQUENCE batch_no START WITH {next_no};\n")
        for table, sql in connection.execute(tables).fetchall():
            sys.stdout.write(f"{sql}\n")
            for row in connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {table}").fetchall():
                values = ", ".join("NULL" if v is None else f"'{v}'" for v in row)
                sys.stdout.write(f"INSERT INTO {table} VALUES ({values});\n")


if __name__ == "__main__":
    sys.path.insert(0, ".")
    with tempfile.TemporaryDirectory() as folder:
        dump(asyncio.run(fill(Path(folder))))
