"""Child processes of sources after a stop, and after the app was killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from solo_app.sources import process_group
from tests.helpers.running_app import PROJECT
from tests.helpers.service import wait_until
from tests.sources.test_command import declare, processes, running

pytestmark = pytest.mark.anyio


async def test_processes_have_ended_when_a_stop_returns(tmp_path: Path) -> None:
    marker = f"marker-{tmp_path.name}"
    script = f": {marker}\nsh -c 'sleep 3600; : {marker}' & echo 1; sleep 3600"
    async with running(declare(tmp_path, script)) as service:
        await wait_until(lambda: service.row_count(service.batch("a")) == 1)
        assert processes(marker)
        await service.stop("a")
        assert processes(marker) == []


@pytest.mark.parametrize(
    "script",
    [
        "trap '' TERM; echo 1; while :; do sleep 0.1; done",  # Ignores SIGTERM.
        "(trap '' TERM; while :; do sleep 0.1; done) & echo 1; exit 0",  # The parent ends first.
    ],
)
async def test_no_process_remains_after_a_stop(tmp_path: Path, script: str) -> None:
    marker = f"marker-{tmp_path.name}"
    async with running(declare(tmp_path, f": {marker}\n{script}")) as service:
        await wait_until(lambda: processes(marker))
        await wait_until(lambda: service.row_count(service.batch("a")) == 1)
        await service.stop("a")
        # On a busy machine, the stop does not wait until SIGKILL has been sent.
        await wait_until(lambda: not processes(marker))


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.sources.test_command import declare, numbers
asyncio.run(numbers(declare(Path(sys.argv[1]), sys.argv[2])))
"""


async def test_no_process_remains_after_the_app_is_killed(tmp_path: Path) -> None:
    marker = f"marker-{tmp_path.name}"
    # The marker of the app itself is quoted differently.
    script = f": {marker}; trap '' TERM; sleep 3600 & touch started; while :; do sleep 0.1; done"
    app = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path, script], cwd=PROJECT)  # noqa: ASYNC220
    try:
        await wait_until(lambda: (tmp_path / "started").exists(), 20)
    finally:
        app.kill()
        app.wait()
    await wait_until(lambda: not processes(marker), 15)


def test_program_ends_if_the_app_is_killed_while_it_starts() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        command = [sys.executable, "-I", process_group.__file__, "sleep", "3600"]
        wrapper = subprocess.Popen(command, stdin=theirs.fileno())
    assert wrapper.wait(20) == 128 + signal.SIGTERM
