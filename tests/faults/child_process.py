"""Child processes that use a database and are killed."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

Send = Callable[[Any], None]
Work = Callable[..., Coroutine[Any, Any, None]]

# Children are forked from a process that has imported the code, which takes most of a start.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["__main__", "pytest", "tests.helpers.history"])


@contextmanager
def child_process(work: Work, *args: object) -> Iterator[tuple[BaseProcess, Iterator[Any]]]:
    """Call ``work(send, *args)`` in a child process, and wait until it has ended.

    Yields the process and the messages that it sends, which end with the process.
    """
    receiver, sender = _context.Pipe(duplex=False)
    process = _context.Process(target=_run, args=(work, sender, *args))
    process.start()
    sender.close()
    try:
        yield process, _receive(receiver)
    finally:
        process.kill()
        process.join()
        receiver.close()


def _run(work: Work, sender: Connection, *args: object) -> None:
    asyncio.run(work(sender.send, *args))


def _receive(receiver: Connection) -> Iterator[Any]:
    with suppress(EOFError):
        while True:
            yield receiver.recv()


def kill_before_call(owner: object, name: str, call: int) -> None:
    """Kill this process before the call with this number, from 1, of a function of ``owner``."""
    function = getattr(owner, name)
    calls = itertools.count(1)

    def replacement(*args: object) -> object:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)

    setattr(owner, name, replacement)
