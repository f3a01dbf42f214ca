"""Errors of requests, and output that suits every terminal."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.cli.command import App, result_of, run, run_command, start_command
from tests.helpers.running_app import free_port
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio


def test_error_of_missing_server_states_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, output, error = run_command("list", "--url", url)
    assert (code, output, len(error.splitlines())) == (1, "", 1)
    assert error.startswith(f"Connection to {url} failed (")
    assert "Start the app with `reflex run`" in error


@pytest.mark.parametrize("url", ["localhost", "ftp://localhost", "http://", "http://a:b", "\x1b"])
def test_invalid_url_is_a_usage_error(url: str) -> None:
    code, output, error = run_command("list", "--url", url)
    assert (code, output) == (2, "")
    assert "is not a URL such as http://127.0.0.1." in error
    assert "\x1b" not in error


@pytest.mark.parametrize("batch_id", ["../x", "..", "", "a" * 65, "a/b", "a\n"])
def test_invalid_batch_id_is_a_usage_error(batch_id: str) -> None:
    code, output, error = run_command("agg", batch_id)
    assert (code, output) == (2, "")
    assert "beginning with a letter or digit" in error


async def test_proxies_are_not_used_for_loopback(app: App) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    proxies = {"HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy, "NO_PROXY": ""}
    code, _, error = await run(app[1], "list", **proxies)
    assert (code, error) == (0, "")


@pytest.mark.parametrize(
    ("media_type", "body"), [("text/html", "<html>"), ("application/json", "[1]"), ("", "")]
)
async def test_page_instead_of_api_is_an_error(media_type: str, body: str) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        expected = (1, "", f"{url} is not the SOLO API. Set --url.\n")
        for arguments in (["list"], ["tail", "b"], ["agg", "b"], ["push", "b", "1"]):
            assert await run(url, *arguments) == expected


async def test_errors_of_sources_are_escaped_in_narrow_locales(app: App) -> None:
    service, url = app
    await service.start("f", source="failing")
    await wait_until(lambda: not service.batch("f").is_running)
    code, output, error = await run(url, "list", charset="latin-1")
    assert (code, error) == (0, "")
    assert "\x1b" not in output
    assert r"\x1b[31m10 \u20ac\n" in output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full exists on Linux only")
async def test_output_to_a_full_disk_is_one_line(app: App) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    # Output that fits into the buffer of Python, which is flushed again at the exit.
    process = await start_command("agg", "old-1", "--url", app[1], stdout=full)
    code, _, error = await result_of(process)
    os.close(full)
    assert (code, error) == (1, "Input or output failed (No space left on device).\n")
