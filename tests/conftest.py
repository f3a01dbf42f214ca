"""What every test may use, which tests are left out, and the order of all."""

from __future__ import annotations

from pathlib import Path

import pytest

_LONGEST = 600
"""Seconds that a test may take, on the slowest of machines too."""

FAULTS = Path(__file__).parent / "faults"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--rounds`` is how long the tests of faults go on."""
    parser.addoption(
        "--rounds", type=int, default=10, help="rounds of each test of faults; 100 is the long form"
    )


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, as the app does."""
    return "asyncio"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The quick tests come first; a browser that drives a page occupies the event loop.

    The tests of faults take minutes and are left out where nobody asks for them.
    """
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)
    if config.pluginmanager.hasplugin("timeout"):
        # A test that hangs is told of by its name; requirements.txt alone does without.
        limit = _LONGEST * max(1, config.getoption("--rounds") // 10)
        for item in items:
            item.add_marker(pytest.mark.timeout(limit))
    if not _asked_for_faults(config):
        left_out = [item for item in items if item.get_closest_marker("faults")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash[_LEFT_OUT] = len(left_out)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Tell in the last lines what was left out, and how to run it."""
    if left_out := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{left_out} tests of faults were left out: `pytest -m faults` runs them "
            "in under ten minutes, `pytest -m faults --rounds 100` for long."
        )


_LEFT_OUT = pytest.StashKey[int]()


def _asked_for_faults(config: pytest.Config) -> bool:
    named = (Path(arg.partition("::")[0]).resolve() for arg in config.args)
    return "faults" in config.option.markexpr or any(
        path == FAULTS or FAULTS in path.parents for path in named
    )
