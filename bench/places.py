"""Where benchmarks keep their files, and processes of their own for what must not share one."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from tests.helpers.running_app import PROJECT

KEPT_IN = PROJECT / ".bench"
"""On the project's own disk: what the system calls temporary may be memory, where a commit is
cheap. Hidden, so that nothing watches it."""


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on the project's disk, removed with all that is in it."""
    KEPT_IN.mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=KEPT_IN))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def own_process(*modules: str) -> Iterator[ProcessPoolExecutor]:
    """A fresh process that does what it is handed: its memory and its time are its own.

    It has loaded ``modules``, which holds up nothing that is measured later. It is ended where
    whoever waits for it breaks off: it may have half an hour to go.
    """
    before = multiprocessing.active_children()
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    try:
        executor.submit(_load, modules).result()
        yield executor
    except BaseException:
        for child in multiprocessing.active_children():
            if child not in before:
                child.kill()
        raise
    finally:
        executor.shutdown()


def _load(modules: Iterable[str]) -> None:
    for module in modules:
        import_module(module)
