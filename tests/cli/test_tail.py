"""The command `tail`."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import App, Result, result_of, run, running_app, serve, start_command
from tests.helpers.running_app import free_port
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio


async def test_tail_prints_all_points_and_ends_with_batch(app: App) -> None:
    service, url = app
    await service.start("five", source="few")
    await wait_until(lambda: not service.batch("five").is_running)
    code, output, error = await run(url, "tail", "five", "--after", "0")
    assert (code, error) == (0, "five: finished\n")
    assert [line.split()[1:] for line in output.splitlines()] == [[str(i)] * 2 for i in range(1, 6)]
    code, output, _ = await run(url, "tail", "five", "--after", "4", "--json")
    (point,) = map(json.loads, output.splitlines())
    assert (code, point["seq"], point["data"]) == (0, 5, {"key": 5})
    assert await run(url, "tail", "five") == (0, "", "five: ended, no more points\n")


async def test_tail_of_unknown_batch_or_point_fails(app: App) -> None:
    assert await run(app[1], "tail", "none") == (1, "", 'Batch "none" not found.\n')
    await app[0].push("p", np.array([1.0]))
    code, output, error = await run(app[1], "tail", "p", "--after", "9")
    assert (code, output) == (1, "")
    assert error.startswith('Batch "p" has no point 9')


OK = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


async def tail_responses(*responses: str) -> tuple[Result, list[str]]:
    """Run `tail` with a server that sends one response per connection.

    Returns the result and the requests.
    """
    requests = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(responses[len(requests) - 1].encode())
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return await run(url, "tail", "b"), requests


async def test_stream_lost_before_its_first_event_resumes() -> None:
    end = 'event: end\ndata: {"status": "stopped"}\n\n'
    lost = [OK, "", OK + 'id: 8\ndata: {"seq": 8, "ts"']
    result, requests = await tail_responses(OK + '{"row_count": 7}', *lost, OK + end)
    assert result[::2] == (0, "Connection lost. Reconnecting.\n" * 2 + "b: stopped\n")
    assert all("last-event-id: 7\r\n" in request for request in requests[1:])


async def test_refused_reconnection_ends_tail() -> None:
    refused = 'HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n{"detail": "Forbidden"}'
    result, _ = await tail_responses(OK + '{"row_count": 7}', OK, refused)
    assert result == (1, "", "Connection lost. Reconnecting.\nForbidden\n")


async def test_ctrl_c_ends_tail_quietly(app: App) -> None:
    await app[0].push("c", np.array([1.0]))
    process = await start_command("tail", "c", "--after", "0", "--url", app[1])
    assert process.stdout
    assert await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert await result_of(process) == (130, "", "")


async def test_closed_pipe_ends_tail_quietly(app: App) -> None:
    await app[0].push("h", np.array([1.0]))
    process = await start_command("tail", "h", "--after", "0", "--url", app[1])
    assert process.stdout
    assert process.stderr
    assert await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
    await app[0].push("h", np.array([2.0]))
    await app[0].push("h", np.array([3.0]))
    assert await process.stderr.read() == b""
    assert await process.wait() == 1


async def test_tail_resumes_after_restart_without_gap_or_duplicate(tmp_path: Path) -> None:
    database, port = tmp_path / "solo.duckdb", free_port()
    async with open_service(database) as service:
        await service.push("b", np.array([0.0]))
        async with serve(service, port) as url:
            process = await start_command("tail", "b", "--url", url)
            assert process.stdout
            assert process.stderr
            reading = asyncio.create_task(process.stdout.readline())
            while not reading.done():  # Until the stream is open, points are not part of it.
                await service.push("b", np.array([1.0]))
                await asyncio.wait({reading}, timeout=0.05)
            first = int((await reading).split()[1])
        assert await process.stderr.readline() == b"Connection lost. Reconnecting.\n"
        await service.push("b", np.array([2.0]))
    async with running_app(database, port) as (service, _):
        result = await service.push("b", np.array([3.0] * 100))
        await service.stop("b")
        code, output, error = await result_of(process)
    seqs = [int(line.split()[1]) for line in output.splitlines()]
    assert (code, error) == (0, "b: stopped\n")
    assert seqs == list(range(first + 1, result.last_seq + 1))
