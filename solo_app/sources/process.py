"""Runs programs and reads their output. ``process_group.py`` starts and ends them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import anyio
import psutil

from solo_app.batches.errors import SourceError
from solo_app.batches.source import RunContext
from solo_app.sources import process_group

MAX_LINE_BYTES = 65_536

_CHUNK_BYTES = 4096
"""Output that is processed before other tasks run: about 10 ms if all lines are invalid."""

_END_SECONDS = process_group.GRACE_SECONDS + 0.5
"""Time limit for ending the group. On a busy machine, the wrapper may finish later."""


async def read_lines(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], run: RunContext
) -> AsyncGenerator[list[bytes]]:
    """Run a program and yield the lines of its standard output, as soon as they are complete.

    Standard error is written to the log of the batch. ``SOLO_*`` variables are not inherited. The
    beginning of a line longer than ``MAX_LINE_BYTES`` can be missing. An unterminated last line is
    used only if the program succeeds. Raises SourceError if the program cannot start or fails.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOLO_")}
    async with _running(command, folder, {**inherited, **variables}) as (output, errors, exit_):
        logging = asyncio.create_task(_log_errors(errors, run))
        try:
            async for lines in output:
                yield lines
            last_error = await logging
        finally:
            logging.cancel()
            await asyncio.wait({logging})
        if exit_code := await exit_:
            raise SourceError(_describe(exit_code, last_error))
        yield [output.rest]


class _Output:
    """Iterates over the lines of the standard output or error of a program.

    An item is a list of complete lines; ``rest`` is the text after the last line break.
    """

    def __init__(self, pipe: IO[bytes], exit_: asyncio.Task[int]) -> None:
        self.rest = b""
        self._pipe = pipe.fileno()
        os.set_blocking(self._pipe, False)
        self._exit = exit_

    def __aiter__(self) -> _Output:
        return self

    async def __anext__(self) -> list[bytes]:
        await asyncio.sleep(0)  # Other tasks run even if there is always more to read.
        if not (chunk := await self._read()):
            raise StopAsyncIteration
        *lines, rest = (self.rest + chunk).split(b"\n")
        self.rest = rest[-MAX_LINE_BYTES - 1 :]
        return lines

    async def _read(self) -> bytes:
        """Return the next chunk; empty at the end.

        Processes outside the group can keep the pipe open. Therefore, an empty pipe is also the end
        once the program has exited, which is detected within a second.
        """
        while True:
            has_exited = self._exit.done()
            try:
                return os.read(self._pipe, _CHUNK_BYTES)
            except BlockingIOError:
                if has_exited:
                    return b""
            with anyio.move_on_after(1):
                await anyio.wait_readable(self._pipe)


async def _log_errors(errors: _Output, run: RunContext) -> str:
    """Write standard error to the log of the batch. Returns its last line."""
    last_line = ""
    async for lines in errors:
        last_line = _log(b"\n".join(lines), run) or last_line
    return _log(errors.rest, run) or last_line


def _log(output: bytes, run: RunContext) -> str:
    text = output.decode(errors="replace")
    run.log(text)
    return text.strip().splitlines()[-1].strip() if text.strip() else ""


def _describe(exit_code: int, last_error: str) -> str:
    """Return the reason for the failure of a program."""
    if exit_code < 0:
        return "The wrapper process of the program was killed"
    reason = f"Exited with code {exit_code}"
    with suppress(ValueError):
        reason = f"Terminated by {signal.Signals(exit_code - 128).name}"
    return f"{reason}: {last_error}" if last_error else reason


@asynccontextmanager
async def _running(
    command: Sequence[str], folder: Path, environment: dict[str, str]
) -> AsyncIterator[tuple[_Output, _Output, asyncio.Task[int]]]:
    """Start a program; end its process group on exit.

    Yields its standard output and error, and a task that returns the exit code when the group has
    ended. The code is negative if the wrapper was killed.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = _start(command, folder, environment, theirs.fileno())
        assert process.stdout
        assert process.stderr
        with process.stdout, process.stderr:
            exit_ = asyncio.create_task(_wait_for_exit(process, ours))
            try:
                yield _Output(process.stdout, exit_), _Output(process.stderr, exit_), exit_
            finally:
                with suppress(OSError):  # The wrapper has ended (macOS).
                    ours.shutdown(socket.SHUT_WR)
                with anyio.move_on_after(_END_SECONDS):
                    await exit_


def _start(
    command: Sequence[str], folder: Path, environment: dict[str, str], stdin: int
) -> subprocess.Popen[bytes]:
    # Not asyncio's subprocesses: they kill the wrapper when their transport is closed, which would
    # leave the program running.
    try:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", process_group.__file__, *command],
            bufsize=0,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal of the app does not reach it.
        )
    except OSError as error:
        raise SourceError(f"Cannot start the program: {error.strerror}") from None


async def _wait_for_exit(process: subprocess.Popen[bytes], lifeline: socket.socket) -> int:
    loop = asyncio.get_running_loop()
    lifeline.setblocking(False)
    await loop.sock_recv(lifeline, 1)  # No data: returns when the wrapper exits.
    exit_code = process.wait()
    if exit_code < 0:
        for pid in psutil.pids():
            with suppress(OSError):
                if os.getsid(pid) == process.pid:
                    os.killpg(os.getpgid(pid), signal.SIGKILL)
    return exit_code
