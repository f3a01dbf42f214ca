"""The command line as a child process, and an app on a real port."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from solo_app.batches.models import utc_now
from solo_app.batches.service import BatchService
from tests.helpers.api import cached_api, create_gateway
from tests.helpers.running_app import PROJECT
from tests.helpers.service import FAST_RETRY, Source, open_service, wait_until

COMMAND = [sys.executable, "-m", "solo_app"]

Result = tuple[int | None, str, str]
"""Exit code, standard output, standard error."""


def command_environment(**environment: str) -> dict[str, str]:
    """An environment without the settings of the machine."""
    kept = {"PATH": os.environ["PATH"], "COLUMNS": "80"}
    return {**kept, "PYTHONPATH": str(PROJECT), **environment}


def run_command(*arguments: str, stdin: str = "", **environment: str) -> Result:
    """Run a command that needs no server in this process."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=command_environment(**environment),
    )
    return done.returncode, done.stdout, done.stderr


async def start_command(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=command_environment(**environment),
    )


async def result_of(process: asyncio.subprocess.Process, stdin: str | None = None) -> Result:
    """Wait for the end of a command."""
    async with asyncio.timeout(30):
        output, error = await process.communicate(None if stdin is None else stdin.encode())
        if process.stdin:  # Otherwise asyncio reports a broken pipe as an unhandled error.
            with suppress(BrokenPipeError, ConnectionResetError):
                await process.stdin.wait_closed()
    return process.returncode, output.decode(), error.decode()


async def run(url: str, *arguments: str, stdin: str = "", **environment: str) -> Result:
    """Run a command against a server in this process."""
    process = await start_command(*arguments, "--url", url, **environment)
    return await result_of(process, stdin)


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
async def running_app(
    database: Path, port: int = 0, **sources: Source
) -> AsyncIterator[tuple[BatchService, str]]:
    """An app on a database; yields its service and its URL."""
    opening = open_service(database, utc_now, False, FAST_RETRY, **sources)
    async with opening as service, serve(service, port) as url:
        yield service, url
