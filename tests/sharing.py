"""How processes share the tests: those that use one app or service go to one process.

An app takes seconds of both cores to start, so each shared one is started once. pytest-xdist 3.8
has groups for that, but with pytest 9.2 it forgets them without a word (its issue 1386): each
process then starts every app, and no test has its app in order.
"""

from __future__ import annotations

import re

_ALONE = (
    "test_full_disk",
    "test_idle_pages",
    "test_main_process",
    "test_readme",
    "test_slow_readers",
    "test_start_and_stop",
)
"""Each test of these starts an app of its own; those in one mode do so one after the other, in one
folder."""

_OTHER_APPS = {
    "test_axe": "console",
    "test_layout": "console",
    "test_accessibility": "console",
    "test_page_size": "page_size",  # It wants a quiet machine, and so a time of its own.
    "test_operations": "operations",
    "test_format": "format",
}
"""Files whose tests use another app than that in development or production, or none."""

_BY_FILE = ("tests/api/", "tests/ui/")
"""In these the tests of a file share a service."""


def group_of(nodeid: str) -> str:
    """The app that a test end to end shares with others, the file where one service serves all
    of it; any other test is a group by itself.
    """
    path, _, name = nodeid.partition("::")
    stem = path.rpartition("/")[2].removesuffix(".py")
    mode = re.search(r"[\[-](dev|prod)[\]-]", name)
    if path.startswith(_BY_FILE):
        return path
    if "e2e/" not in path or stem in _ALONE:
        return f"{mode[1]}-alone" if mode else nodeid
    return _OTHER_APPS.get(stem) or (mode[1] if mode else "prod")
