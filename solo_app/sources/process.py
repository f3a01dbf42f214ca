"""Runs programs and reads their output. ``process_group.py`` starts and ends them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from solo_app.batches.errors import SourceError
from solo_app.batches.source import RunContext
from solo_app.sources import process_group

MAX_LINE_BYTES = 65_536

_CHUNK_BYTES = 65_536

_MAX_LINES = 500
"""Lines that are processed before other tasks run: a few milliseconds if all are invalid."""

_DRAIN_SECONDS = 0.5
"""Time for more output after the exit: a process outside the group can keep the pipe open."""

_END_SECONDS = process_group.GRACE_SECONDS + 0.5
"""Time limit for the end of the process group. It ends later on its own if the machine is busy."""


async def read_lines(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], run: RunContext
) -> AsyncGenerator[list[bytes]]:
    """Run a program and yield the lines of its standard output, as soon as they are complete.

    Standard error is written to the log of the batch. ``SOLO_*`` variables are not inherited.
    Lines longer than ``MAX_LINE_BYTES`` are skipped. An unterminated last line counts only if the
    program succeeds. Raises SourceError if it cannot be started or exits with an error.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOLO_")}
    async with _running(command, folder, {**inherited, **variables}) as program:
        errors = _ErrorOutput(run)
        reading_errors = asyncio.create_task(errors.read(program))
        try:
            lines = _Lines(run)
            async for chunk in program.chunks(program.stdout):
                complete = lines.add(chunk)
                for start in range(0, len(complete), _MAX_LINES):
                    yield complete[start : start + _MAX_LINES]
                    await asyncio.sleep(0)
            await asyncio.wait({program.exit})
            await asyncio.wait({reading_errors}, timeout=_DRAIN_SECONDS)
            if program.exit.result() != 0:
                raise SourceError(errors.describe(program.exit.result()))
            if lines.rest:
                yield [lines.rest]
        finally:
            reading_errors.cancel()


class _Lines:
    """Splits chunks into lines."""

    def __init__(self, run: RunContext) -> None:
        self.rest = b""
        self._run = run
        self._is_skipping = False

    def add(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes."""
        first, line_break, others = chunk.partition(b"\n")
        self.rest += first
        lines = []
        if line_break:
            *middle, rest = others.split(b"\n")
            lines = middle if self._is_skipping else [self.rest, *middle]
            self.rest, self._is_skipping = rest, False
        if self._is_skipping:
            self.rest = b""
        elif len(self.rest) > MAX_LINE_BYTES:
            self._run.log(f"Line skipped: longer than {MAX_LINE_BYTES} bytes")
            self.rest, self._is_skipping = b"", True
        return lines


class _ErrorOutput:
    """Writes the standard error to the log of the batch, and keeps its last line."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._last = ""

    async def read(self, program: _Program) -> None:
        rest = b""
        async for chunk in program.chunks(program.stderr):
            complete, line_break, rest = (rest + chunk).rpartition(b"\n")
            # Without a line break for long, the text is logged in parts.
            if line_break or len(rest) > MAX_LINE_BYTES:
                self._log(complete or rest)
                rest = rest if line_break else b""
        self._log(rest)

    def _log(self, output: bytes) -> None:
        text = output.decode(errors="replace")
        if text.strip():
            self._last = text.rstrip().splitlines()[-1]
        self._run.log(text)

    def describe(self, exit_code: int | None) -> str:
        """Return the reason for the failure of a program."""
        if exit_code is None:
            return "The wrapper process of the program was killed"
        reason = f"Exited with code {exit_code}"
        if exit_code > 128 and exit_code - 128 in signal.valid_signals():
            reason = f"Terminated by {signal.Signals(exit_code - 128).name}"
        return f"{reason}: {self._last.strip()}" if self._last else reason


@dataclass(frozen=True, slots=True)
class _Program:
    """A running program.

    ``exit`` returns the exit code once the process group has ended; None if the wrapper was killed.
    """

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    exit: asyncio.Task[int | None]

    async def chunks(self, stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """Yield the data of a stream until its end."""
        while True:
            reading = asyncio.ensure_future(stream.read(_CHUNK_BYTES))
            try:
                await asyncio.wait({reading, self.exit}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    await asyncio.wait({reading}, timeout=_DRAIN_SECONDS)
                if not reading.done() or not reading.result():
                    return
                chunk = reading.result()
            finally:
                reading.cancel()
            yield chunk


@asynccontextmanager
async def _running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[_Program]:
    """Start a program; end its process group on exit."""
    process, status = _start(command, folder, environment)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    transports: list[asyncio.BaseTransport] = []
    exit_ = asyncio.create_task(_read_status(status, transports))
    try:
        stdout = await _connect(process.stdout, transports)
        stderr = await _connect(process.stderr, transports)
        yield _Program(stdout, stderr, exit_)
    finally:
        process.stdin.close()
        await asyncio.wait({exit_}, timeout=_END_SECONDS)
        exit_.cancel()
        for transport in transports:
            transport.close()
        for pipe in (process.stdout, process.stderr, status):
            pipe.close()  # No effect if a transport has closed it.
        if exit_.done() and not exit_.cancelled():
            process.wait()  # It wrote its status last.


def _start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    # Not asyncio's subprocesses: they kill the wrapper when their transport is closed, which would
    # leave the program running.
    status, status_of_wrapper = os.pipe()
    wrapper = [sys.executable, "-I", process_group.__file__, str(status_of_wrapper)]
    try:
        process = subprocess.Popen(  # noqa: S603
            [*wrapper, *command],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
            pass_fds=[status_of_wrapper],
            start_new_session=True,  # Ctrl-C in the terminal of the app does not reach it.
        )
    except OSError as error:
        os.close(status)
        raise SourceError(f"Cannot start the program: {error.strerror}") from None
    finally:
        os.close(status_of_wrapper)
    return process, os.fdopen(status, "rb", buffering=0)


async def _connect(
    pipe: IO[bytes], transports: list[asyncio.BaseTransport]
) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    transports.append(transport)
    return reader


async def _read_status(pipe: IO[bytes], transports: list[asyncio.BaseTransport]) -> int | None:
    stream = await _connect(pipe, transports)
    group, _, code = (await stream.read()).partition(b" ")
    if code:
        return int(code)
    if group:  # The wrapper was killed.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)
    return None
