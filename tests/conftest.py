"""What every test may use; which are left out, in what order, and on how many processes."""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import re
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.small_disk import SmallDisk
from tests.sharing import group_of

WORKERS = 3
"""Processes that share the tests: pages and apps that start often wait, so more than two cores."""

_LONGEST = 600
"""Seconds that a test may take, on the slowest of machines too."""

_IN_MEMORY, _ROOM = Path("/dev/shm"), 2**30
"""Where Linux keeps files in memory, and the bytes that must be free there."""

ALL = Path(__file__).parent
FAULTS = ALL / "faults"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--rounds`` is how long the tests of faults go on."""
    parser.addoption(
        "--rounds", type=int, default=10, help="rounds of each test of faults; 100 is the long form"
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, as the app does."""
    return "asyncio"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """Create small disks, with a size in MB. They are unmounted after the test."""
    disks: list[SmallDisk] = []

    def mount(size: int) -> SmallDisk:
        try:
            disks.append(SmallDisk(tmp_path / f"disk{len(disks)}", size))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk needs root privileges")
        return disks[-1]

    yield mount
    for disk in disks:
        disk.remove()


_numbers = itertools.count(1)


@pytest.fixture
def batch_id() -> str:
    """The id of a batch that no other test has."""
    return f"own-{next(_numbers)}"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Share the tests out where pytest-xdist is installed and nobody said how (``-n 0``: don't)."""
    options = config.option
    is_worker = hasattr(config, "workerinput")
    if getattr(options, "numprocesses", 0) is None and not is_worker and not options.usepdb:
        options.numprocesses = WORKERS
    options.loadscopereorder = False
    if ALL / "e2e" in _left_out(config) and not _asked_for_faults(config):
        _keep_files_in_memory()


def _keep_files_in_memory() -> None:
    """Have the quick tests not wait for a disk to have what they write; apps write far more."""
    if "TMPDIR" in os.environ or not os.access(_IN_MEMORY, os.W_OK):
        return
    system = os.statvfs(_IN_MEMORY)
    runs_programs = not system.f_flag & os.ST_NOEXEC  # Some tests write one and run it.
    if runs_programs and system.f_bavail * system.f_frsize > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests that share an app stay together."""
    from xdist.scheduler import LoadScopeScheduling  # requirements.txt alone does without.

    class SharedByApp(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return SharedByApp(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over a folder that is left out whole: its imports take long.

    ``-m "not ..."`` leaves one out. The tests of faults take minutes and are left out where
    nobody asks for them.
    """
    if collection_path == FAULTS and not _asked_for_faults(config):
        return True
    return True if collection_path in _left_out(config) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Freeze what is loaded by now, so that the garbage collector never scans it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        if hasattr(session.config, "workerinput"):
            # All is told and closed then; to take apart what was loaded takes a second.
            atexit.register(os._exit, 0)
        else:
            atexit.register(gc.unfreeze)  # Else DuckDB tells of what could not be freed.


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one process the quick tests come first; several end together when those come last, and
    of those the ones that are single, the few that wait long before the many that do not.
    """
    is_shared = hasattr(config, "workerinput")

    def rank(item: pytest.Item) -> tuple[bool, bool, bool]:
        is_quick = item.get_closest_marker("e2e") is None
        is_single = group_of(item.nodeid) == item.nodeid
        return is_quick == is_shared, is_quick and is_single, item.path.parent != ALL

    items.sort(key=rank)
    if config.pluginmanager.hasplugin("timeout"):
        # A test that hangs is told of by its name; requirements.txt alone does without.
        limit = _LONGEST * max(1, config.getoption("--rounds") // 10)
        for item in items:
            item.add_marker(pytest.mark.timeout(limit))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Tell in the last lines what was left out, and how to run it."""
    if not _asked_for_faults(config) and any(path in FAULTS.parents for path in _named(config)):
        terminalreporter.write_line(
            "The tests of faults were left out: `pytest -m faults` runs them "
            "in under ten minutes, `pytest -m faults --rounds 100` for long."
        )


def _left_out(config: pytest.Config) -> set[Path]:
    """The folders whose tests ``-m`` names as not wanted."""
    if re.search(r"\bor\b|[()]", config.option.markexpr):
        return set()
    return {ALL / name for name in re.findall(r"\bnot (\w+)", config.option.markexpr)}


def _asked_for_faults(config: pytest.Config) -> bool:
    return "faults" in config.option.markexpr or any(
        path == FAULTS or FAULTS in path.parents for path in _named(config)
    )


def _named(config: pytest.Config) -> list[Path]:
    return [Path(arg.partition("::")[0]).resolve() for arg in config.args]
