"""How processes share the tests: those that use one app go to one process, one after the other.

pytest-xdist 3.8 has groups for that, but with pytest 9.2 it forgets them without a word
(its issue 1386): each process then starts every app, and no test has its app in order.
"""

from __future__ import annotations

_ALONE = ("test_http", "test_readme", "test_start_and_stop")
"""Most tests of these start an app of their own."""


def group_of(nodeid: str) -> str:
    """The file and mode of a test end to end; any other is a group by itself."""
    path, _, name = nodeid.partition("::")
    stem = path.rpartition("/")[2].removesuffix(".py")
    if "e2e/" not in path or stem in _ALONE:
        return nodeid
    return f"{stem}-dev" if "[dev" in name else stem
