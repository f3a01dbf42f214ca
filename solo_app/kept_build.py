"""Builds the pages for production, or takes the build that was kept of the very same pages.

Reflex runs this in ``.web`` as the command ``export`` of its package, where ``react-router build``
stood: that takes more than half of a start, and most starts find the pages as they were.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

BUILD = ["react-router", "build"]
BUILT, KEPT = "build", "kept-builds"

MOST = 4
"""Builds that are kept: Reflex writes the same pages in one of two orders, from start to start."""

_NOT_BUILT_FROM = {
    BUILT,
    KEPT,
    "node_modules",  # bun.lock says what is in there.
    ".react-router",  # Written by the build.
    "reflex.json",  # Says when the app was last started.
}
_VARIABLES = ("NODE_", "REFLEX_", "VITE_")
"""How the names of variables begin that a build may ask for."""


def main(web: Path) -> int:
    """Leave a build of the pages in ``web``; gives the exit code of the build where it fails."""
    kept = web / KEPT / digest(web)
    if kept.is_dir():
        shutil.copytree(kept, web / BUILT)
        kept.touch()
        return 0
    # The build's own words are what Reflex shows as progress.
    code = subprocess.run(BUILD, cwd=web, check=False).returncode  # noqa: S603
    if code == 0:
        _keep(web / BUILT, kept)
    return code


def digest(web: Path) -> str:
    """Names all that a build is made from: the same name, the same build."""
    named = sha256()
    for path in sorted(_built_from(web)):
        content = sha256(path.read_bytes()).hexdigest()
        named.update(f"{path.relative_to(web).as_posix()}={content}\n".encode())
    for name in sorted(os.environ):
        if name.startswith(_VARIABLES):
            named.update(f"${name}={os.environ[name]}\n".encode())
    return named.hexdigest()


def _built_from(web: Path) -> Iterator[Path]:
    for top in web.iterdir():
        if top.name not in _NOT_BUILT_FROM:
            yield from filter(Path.is_file, [top, *top.rglob("*")])


def _keep(built: Path, kept: Path) -> None:
    """Keep a build, and of the others the latest; where that cannot be, the next start builds.

    What is under the name of a build is the whole of it, after a loss of power too.
    """
    unfinished = kept.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        shutil.copytree(built, unfinished)
        os.sync()
        unfinished.rename(kept)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        return
    others = sorted(kept.parent.iterdir(), key=lambda build: build.stat().st_mtime, reverse=True)
    for old in others[MOST:]:
        shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
