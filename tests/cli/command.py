"""The command line in this process or as a child process, and an app on a real port."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from solo_app.batches.models import utc_now
from solo_app.batches.service import BatchService
from solo_app.cli.main import main
from tests.helpers.api import cached_api, create_gateway
from tests.helpers.running_app import PROJECT
from tests.helpers.service import FAST_RETRY, Source, open_service, wait_until

COMMAND = [sys.executable, "-m", "solo_app"]

App = tuple[BatchService, str]
"""The service and the URL of an app."""

Result = tuple[int, str, str]
"""Exit code, standard output, standard error."""


def run_command(
    *arguments: str, stdin: str | IO[bytes] = "", charset: str = "utf-8", **environment: str
) -> Result:
    """Run a command in this process. It must not need a server in this thread."""
    runner = CliRunner(charset, environment, catch_exceptions=False)
    result = runner.invoke(main, arguments, stdin)
    return result.exit_code, result.stdout, result.stderr


async def run(url: str, *arguments: str, stdin: str = "", **environment: str) -> Result:
    """Run a command against a server in this process."""
    return await asyncio.to_thread(
        run_command, *arguments, "--url", url, stdin=stdin, **environment
    )


@asynccontextmanager
async def running_push(
    url: str, batch_id: str
) -> AsyncIterator[tuple[Callable[[bytes], int], asyncio.Task[Result]]]:
    """Run `push` with a pipe, which is closed after the block.

    Yields a function that writes to the pipe, and the task that returns the result.
    """
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stdin:
        arguments = ("push", batch_id, "--url", url)
        task = asyncio.create_task(asyncio.to_thread(run_command, *arguments, stdin=stdin))
        try:
            async with asyncio.timeout(30):
                yield lambda data: os.write(writer, data), task
        finally:
            os.close(writer)
            await task


def command_environment(**environment: str) -> dict[str, str]:
    """An environment without the settings of the machine."""
    kept = {"PATH": os.environ["PATH"], "COLUMNS": "80"}
    return {**kept, "PYTHONPATH": str(PROJECT), **environment}


async def start_command(
    *arguments: str, stdout: int = subprocess.PIPE
) -> asyncio.subprocess.Process:
    """Start a command as a child process."""
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=command_environment(),
    )


async def result_of(process: asyncio.subprocess.Process) -> Result:
    """Wait for the end of a child process."""
    async with asyncio.timeout(30):
        output, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (output or b"").decode(), error.decode()


@asynccontextmanager
async def serve(service: BatchService, port: int = 0) -> AsyncIterator[str]:
    """Serve the API on loopback; yields its URL. Open connections are aborted at the end."""
    uvicorn = pytest.importorskip("uvicorn", reason="the command line tests need requirements-dev")
    state = cached_api().state  # Shared by all apps of a test process.
    previous = getattr(state, "service", None)
    config = uvicorn.Config(
        create_gateway(service),
        port=port,
        lifespan="off",
        log_level="critical",
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        state.service = previous


@asynccontextmanager
async def running_app(database: Path, port: int = 0, **sources: Source) -> AsyncIterator[App]:
    """An app on a database."""
    opening = open_service(database, utc_now, False, FAST_RETRY, **sources)
    async with opening as service, serve(service, port) as url:
        yield service, url
