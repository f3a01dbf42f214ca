"""How processes share the tests: those that use one app, or one service, go to one process,
one after the other.

pytest-xdist 3.8 has groups for that, but with pytest 9.2 it forgets them without a word
(its issue 1386): each process then starts every app, and no test has its app in order.
"""

from __future__ import annotations

_ALONE = ("test_http", "test_readme", "test_start_and_stop")
"""Most tests of these start an app of their own."""


_BY_FILE = ("tests/api/", "tests/ui/")
"""In these the tests of a file share a service."""


def group_of(nodeid: str) -> str:
    """The file and mode of a test end to end, the file where one service serves all of it; any
    other is a group by itself.
    """
    path, _, name = nodeid.partition("::")
    stem = path.rpartition("/")[2].removesuffix(".py")
    if path.startswith(_BY_FILE):
        return path
    if "e2e/" not in path or stem in _ALONE:
        return nodeid
    return f"{stem}-dev" if "[dev" in name else stem
