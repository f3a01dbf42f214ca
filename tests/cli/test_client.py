"""Errors of requests, and output that suits every terminal."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, command_environment, run, run_command, running_app
from tests.helpers.running_app import free_port
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio


def test_error_of_missing_server_states_what_to_do() -> None:
    port = free_port()
    code, output, error = run_command("list", REFLEX_BACKEND_PORT=str(port))
    assert (code, output, len(error.splitlines())) == (1, "", 1)
    assert error.startswith(f"Cannot connect to http://127.0.0.1:{port} (")
    assert "Start the app with `reflex run`" in error


@pytest.mark.parametrize("url", ["localhost", "ftp://localhost", "http://", "http://a:b", "\x1b"])
def test_invalid_url_is_a_usage_error(url: str) -> None:
    code, output, error = run_command("list", "--url", url)
    assert (code, output) == (2, "")
    assert "is not a URL such as http://127.0.0.1:8000." in error
    assert "\x1b" not in error


@pytest.mark.parametrize("batch_id", ["../x", "..", "", "a" * 65, "a/b", "a\n"])
def test_invalid_batch_id_is_a_usage_error(batch_id: str) -> None:
    code, output, error = run_command("agg", batch_id)
    assert (code, output) == (2, "")
    assert "beginning with a letter or digit" in error


async def test_proxies_are_not_used_for_loopback(tmp_path: Path) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    async with running_app(tmp_path / "solo.duckdb") as (_, url):
        proxies = {"HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy}
        code, output, error = await run(url, "list", "--json", **proxies)
    assert (code, json.loads(output), error) == (0, {"batches": []}, "")


async def test_page_instead_of_api_is_an_error() -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n"
        writer.write(f"{head}<html>".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        expected = (1, "", f"{url} is not the API of SOLO. Select the API with --url.\n")
        for arguments in (["list"], ["tail", "b", "--after", "0"], ["export", "b"]):
            assert await run(url, *arguments) == expected


async def test_errors_of_sources_are_escaped_in_narrow_locales(tmp_path: Path) -> None:
    async def failing():  # type: ignore[no-untyped-def]
        raise OSError("\x1b[31m10 €\n")
        yield

    async with running_app(tmp_path / "solo.duckdb", failing=failing) as app:
        service, url = app
        await service.start("f", source="failing")
        await wait_until(lambda: not service.batch("f").is_running)
        code, output, error = await run(url, "list", PYTHONIOENCODING="latin-1")
    assert (code, error) == (0, "")
    assert "\x1b" not in output
    assert r"\x1b[31m10 \u20ac\n" in output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full exists on Linux only")
def test_output_to_a_full_disk_is_one_line(tmp_path: Path) -> None:
    environment = command_environment(SOLO_DATABASE=str(tmp_path / "solo.duckdb"))
    with Path("/dev/full").open("wb") as full:
        command = subprocess.run(
            [*COMMAND, "check"], stdout=full, stderr=subprocess.PIPE, check=False, env=environment
        )
    assert command.returncode == 1
    assert command.stderr == b"Input or output failed (No space left on device).\n"
