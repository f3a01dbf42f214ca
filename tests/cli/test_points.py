"""The commands `push` and `export` against a real server."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches.service import BatchService
from solo_app.batches.timing import Timing
from tests.cli.command import (
    COMMAND,
    App,
    command_environment,
    run,
    running_app,
    running_push,
    serve,
)
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.running_app import free_port
from tests.helpers.service import latest_points, open_service

pytestmark = pytest.mark.anyio


async def keys(service: BatchService, batch_id: str) -> list[float]:
    return [point.key for point in await latest_points(service, batch_id, 1_000)]


async def wait_for_rows(service: BatchService, batch_id: str, count: int) -> None:
    """Wait until a batch exists and has this number of points."""
    rows = {batch_id: 0}
    while rows[batch_id] != count:
        rows |= {batch.batch_id: service.row_count(batch) for batch in service.batches()}
        await asyncio.sleep(0.001)


async def test_push_stores_arguments_all_or_none(app: App) -> None:
    expected = (0, "k: 3 points stored, seq 1 to 3\n", "")
    assert await run(app[1], "push", "k", "-5", "2.5", "-1e-3") == expected
    assert await keys(app[0], "k") == [-5, 2.5, -0.001]
    for number, exit_code in (("warm", 2), ("nan", 1), ("1e999", 1), ("--jsno", 2)):
        code, output, error = await run(app[1], "push", "k", "1", number)
        assert (code, output) == (exit_code, ""), error
    assert len(await keys(app[0], "k")) == 3


async def test_push_stores_lines_of_stdin(app: App) -> None:
    lines = '21.5\r\n\n{"key": 22}\n-3'
    code, output, error = await run(app[1], "push", "lines", "--json", stdin=lines)
    assert (code, error) == (0, "")
    expected = {"batch_id": "lines", "first_seq": 1, "last_seq": 3, "count": 3}
    assert json.loads(output) == expected
    assert await keys(app[0], "lines") == [21.5, 22, -3]


async def test_each_line_of_slow_pipe_is_stored_immediately(app: App) -> None:
    service, url = app
    async with running_push(url, "slow") as (write, push):
        for count in (1, 2, 3):
            write(b"7\n8")  # The second number is complete with the next line.
            await wait_for_rows(service, "slow", count)
    assert await push == (0, "slow: 4 points stored, seq 1 to 4\n", "")
    assert await keys(service, "slow") == [7, 87, 87, 8]


@pytest.mark.parametrize("valid", [2, 100_000])
async def test_invalid_line_is_reported_with_its_number(app: App, valid: int) -> None:
    batch_id = f"invalid-{valid}"
    stdin = "".join(f"{number}\n" for number in range(valid)) + "warm\n4\n"
    code, output, error = await run(app[1], "push", batch_id, stdin=stdin)
    assert (code, output) == (1, "")
    assert error.startswith(f"Line {valid + 1} is not a finite number")
    assert error.endswith(f" {valid} points stored.\n")
    assert app[0].row_count(app[0].batch(batch_id)) == valid


async def test_overlong_line_is_refused_without_reading_all(app: App) -> None:
    async with running_push(app[1], "long") as (write, push):
        # In a thread: the server must store the first line before the pipe has capacity.
        await asyncio.to_thread(write, b"1\n" + b"2" * 150_000)
        code, _, error = await push
    assert code == 1
    assert error == "Line 2 is longer than 65536 bytes. 1 point stored.\n"


async def test_empty_stdin_is_an_error(app: App) -> None:
    assert await run(app[1], "push", "empty") == (1, "", "Standard input has no points.\n")


async def test_push_reports_that_batch_was_stopped(app: App) -> None:
    service, url = app
    async with running_push(url, "ended") as (write, push):
        write(b"1\n")
        await wait_for_rows(service, "ended", 1)
        await service.stop("ended")
        write(b"2\n")
        code, _, error = await push
    assert code == 1
    assert error == "ended has ended (stopped). Start it again to push points. 1 point stored.\n"


async def test_push_reports_stored_points_when_server_is_down(app: App) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with running_push(url, "gone") as (write, push):
        async with serve(app[0], port):
            write(b"1\n2\n")
            await wait_for_rows(app[0], "gone", 2)
        write(b"3\n")
        code, _, error = await push
    assert code == 1
    assert error.startswith(f"Connection to {url} failed (")
    assert error.endswith(" At least 2 points stored.\n")


async def test_push_reports_stored_points_when_writes_fail() -> None:
    storage, timing = MemoryStorage(), Timing(retry_interval=0.01, stop_grace_period=0.01)
    async with open_service(storage, timing=timing) as service, serve(service) as url:
        async with running_push(url, "full") as (write, push):
            write(b"1\n")
            await wait_for_rows(service, "full", 1)
            storage.writes.fail()
            write(b"2\n")
            code, _, error = await push
        storage.writes.open()
        await wait_for_rows(service, "full", 2)  # The second point is stored later.
    assert code == 1
    assert error.startswith("Writes are failing: No room left. The points are stored if")
    assert error.endswith(" At least 1 point stored.\n")


async def test_push_continues_after_restart_between_lines(tmp_path: Path) -> None:
    database, port = tmp_path / "solo.duckdb", free_port()
    async with running_push(f"http://127.0.0.1:{port}", "b") as (write, push):
        async with running_app(database, port) as (service, _):
            write(b"1\n")
            await wait_for_rows(service, "b", 1)
        async with running_app(database, port) as (service, _):
            write(b"2\n")
            await wait_for_rows(service, "b", 2)
            assert await keys(service, "b") == [1, 2]
    assert await push == (0, "b: 2 points stored, seq 1 to 2\n", "")


async def test_export_writes_standard_output(app: App, tmp_path: Path) -> None:
    await app[0].push("e", np.array([1.0, 2.5]))
    code, output, error = await run(app[1], "export", "e")
    assert (code, error) == (0, "")
    assert [row["key"] for row in csv.DictReader(output.splitlines())] == ["1", "2.5"]
    parquet = await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, "export", "e", "--format", "parquet", "--url", app[1]],
        check=True,
        stdout=subprocess.PIPE,
        env=command_environment(),
    )
    assert parquet.stdout.startswith(b"PAR1")
    assert parquet.stdout.endswith(b"PAR1")
    result = await run(app[1], "export", "e", "--to", "2012-11-11T10:11Z")
    assert result == (0, "seq,ts,key\n", "")
    result = await run(app[1], "export", "unknown")
    assert result == (1, "", 'Batch "unknown" not found.\n')


def test_parquet_is_not_written_to_a_terminal() -> None:
    _, terminal = os.openpty()
    command = [*COMMAND, "export", "e", "--format", "parquet"]
    done = subprocess.run(
        command, check=False, stdout=terminal, stderr=subprocess.PIPE, env=command_environment()
    )
    assert done.returncode == 2
    assert b"Parquet is binary." in done.stderr


async def truncated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond with a download that is aborted."""
    await reader.readuntil(b"\r\n\r\n")
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(f"{head}4\r\nseq,\r\n".encode())
    await writer.drain()
    writer.close()


async def test_aborted_export_has_exit_code_1() -> None:
    async with await asyncio.start_server(truncated, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, output, error = await run(url, "export", "e")
    assert (code, output) == (1, "seq,")
    assert error.startswith(f"Connection to {url} failed (")
