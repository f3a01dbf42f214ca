"""The commands `push` and `export` against a real server."""

from __future__ import annotations

import asyncio
import csv
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from solo_app.batches.service import BatchService
from tests.cli.command import result_of, run, running_app, serve, start_command
from tests.helpers.running_app import free_port
from tests.helpers.service import latest_points, silent, wait_until

pytestmark = pytest.mark.anyio

App = tuple[BatchService, str]


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    database = tmp_path_factory.mktemp("cli") / "solo.duckdb"
    async with running_app(database, silent=silent) as opened:
        yield opened


@pytest.fixture(autouse=True)
async def stopped(app: App) -> AsyncIterator[None]:
    yield
    for batch in app[0].running():
        await app[0].stop(batch.batch_id)


async def keys(service: BatchService, batch_id: str) -> list[float]:
    return [point.key for point in await latest_points(service, batch_id, 1_000)]


async def test_push_stores_arguments_all_or_none(app: App) -> None:
    expected = (0, "k: 3 points stored, seq 1 to 3\n", "")
    assert await run(app[1], "push", "k", "-5", "2.5", "-1e-3") == expected
    assert await keys(app[0], "k") == [-5, 2.5, -0.001]
    for number in ("warm", "nan", "1e999", "--jsno"):
        code, output, error = await run(app[1], "push", "k", "1", number)
        assert (code, output) == (2, ""), error
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
    process = await start_command("push", "slow", "--url", url)
    assert process.stdin
    for count in (1, 2, 3):
        process.stdin.write(b"7\n8")  # The second number is complete with the next line.
        await wait_until(lambda: service.batches() and "slow" in names(service))
        await wait_until(lambda: service.row_count(service.batch("slow")) == count)  # noqa: B023
    code, output, _ = await result_of(process, "")
    assert (code, output) == (0, "slow: 4 points stored, seq 1 to 4\n")
    assert await keys(service, "slow") == [7, 87, 87, 8]


def names(service: BatchService) -> list[str]:
    return [batch.batch_id for batch in service.batches()]


@pytest.mark.parametrize("valid", [2, 100_000])
async def test_invalid_line_is_reported_with_its_number(app: App, valid: int) -> None:
    batch_id = f"invalid-{valid}"
    stdin = "".join(f"{number}\n" for number in range(valid)) + "warm\n4\n"
    code, output, error = await run(app[1], "push", batch_id, stdin=stdin)
    assert (code, output) == (1, "")
    assert error.startswith(f"Line {valid + 1}: The line is not a finite number")
    assert error.endswith(f" {valid} points stored.\n")
    assert app[0].row_count(app[0].batch(batch_id)) == valid


async def test_overlong_line_is_refused_without_reading_all(app: App) -> None:
    code, _, error = await run(app[1], "push", "long", stdin="1\n" + "2" * 10_000_000)
    assert code == 1
    assert error == "Line 2: The line is longer than 65536 bytes. 1 point stored.\n"


async def test_empty_stdin_is_an_error(app: App) -> None:
    assert await run(app[1], "push", "empty") == (1, "", "Standard input has no points.\n")


async def test_push_reports_that_batch_was_stopped(app: App) -> None:
    service, url = app
    process = await start_command("push", "ended", "--url", url)
    assert process.stdin
    process.stdin.write(b"1\n")
    await wait_until(lambda: "ended" in names(service))
    await wait_until(lambda: service.row_count(service.batch("ended")) == 1)
    await service.stop("ended")
    code, _, error = await result_of(process, "2\n")
    assert code == 1
    assert error.startswith("Line 2: ended has ended (stopped).")
    assert error.endswith(" 1 point stored.\n")


async def test_push_reports_stored_points_when_server_is_down(app: App) -> None:
    port = free_port()
    async with serve(app[0], port) as url:
        process = await start_command("push", "gone", "--url", url)
        assert process.stdin
        process.stdin.write(b"1\n2\n")
        await wait_until(lambda: "gone" in names(app[0]))
        await wait_until(lambda: app[0].row_count(app[0].batch("gone")) == 2)
    code, _, error = await result_of(process, "3\n")
    assert code == 1
    assert error.startswith(f"Cannot connect to http://127.0.0.1:{port} (")
    assert error.endswith(" 2 points stored.\n")


async def test_push_continues_after_restart_between_lines(tmp_path: Path) -> None:
    database, port = tmp_path / "solo.duckdb", free_port()
    async with running_app(database, port) as (service, url):
        process = await start_command("push", "b", "--url", url)
        assert process.stdin
        process.stdin.write(b"1\n")
        await wait_until(lambda: service.batches() and service.row_count(service.batch("b")) == 1)
    async with running_app(database, port) as (service, _):
        code, output, error = await result_of(process, "2\n")
        assert (code, output, error) == (0, "b: 2 points stored, seq 1 to 2\n", "")
        assert await keys(service, "b") == [1, 2]


async def test_ctrl_c_reports_stored_points(app: App) -> None:
    process = await start_command("push", "c", "--url", app[1])
    assert process.stdin
    process.stdin.write(b"1\n")
    await wait_until(lambda: "c" in names(app[0]))
    await wait_until(lambda: app[0].row_count(app[0].batch("c")) == 1)
    process.send_signal(signal.SIGINT)
    code, output, error = await result_of(process)
    assert (code, output) == (130, "")
    assert error.splitlines()[0] in ("1 point stored.", "0 points stored.")


async def test_export_writes_stdout_or_file(app: App, tmp_path: Path) -> None:
    service, url = app
    await service.push("e", np.array([1.0, 2.5]))
    code, output, error = await run(url, "export", "e")
    assert (code, error) == (0, "")
    assert [row["key"] for row in csv.DictReader(output.splitlines())] == ["1", "2.5"]
    file = tmp_path / "e.parquet"
    file.write_text("old")
    arguments = ("export", "e", "--format", "parquet", "--output", str(file))
    assert await run(url, *arguments) == (0, "", "")
    assert duckdb.execute(f"SELECT key FROM '{file}'").fetchall() == [(1,), (2.5,)]
    assert await run(url, "export", "e", "--to", "2012-11-11T10:11Z") == (0, "seq,ts,key\n", "")
    assert list(tmp_path.iterdir()) == [file]


async def test_failed_export_keeps_the_existing_file(app: App, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("old")
    result = await run(app[1], "export", "unknown", "--output", str(file))
    assert result == (1, "", 'Batch "unknown" not found.\n')
    assert file.read_text() == "old"
    await app[0].start("kept")
    await app[0].stop("kept")
    code, _, error = await run(app[1], "export", "kept", "--output", str(tmp_path))
    assert (code, error) == (1, f"{tmp_path} is not a regular file.\n")
    assert list(tmp_path.iterdir()) == [file]


async def truncated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond with a download that is aborted."""
    await reader.readuntil(b"\r\n\r\n")
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(f"{head}4\r\nseq,\r\n".encode())
    await writer.drain()
    writer.close()


async def test_aborted_export_fails_and_leaves_no_file(tmp_path: Path) -> None:
    async with await asyncio.start_server(truncated, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, output, error = await run(url, "export", "e", "--output", str(tmp_path / "e.csv"))
        assert (code, output) == (1, "")
        assert error.startswith(f"Connection to {url} lost (")
        assert list(tmp_path.iterdir()) == []
        assert (await run(url, "export", "e"))[:2] == (1, "seq,")


async def test_connection_lost_during_push_reports_unknown_lines() -> None:
    async def aborted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(aborted, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, _, error = await run(url, "push", "e", stdin="1\n2\n")
    assert code == 1
    assert error.endswith(" 0 points stored. Lines 1 to 2 may be stored too.\n")
