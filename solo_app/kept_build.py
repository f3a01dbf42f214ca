"""Builds the pages for production, or takes the build that was kept of the very same pages.

Reflex runs this in ``.web`` as the command ``export`` of its package, where ``react-router build``
stood: that takes more than half of a start, and most starts find the pages as they were. Those
that find what the pages are compiled from as it was do not compile them either.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

BUILD = ["react-router", "build"]
BUILT, KEPT = "build", "kept-builds"

MOST = 4
"""Builds that are kept: Reflex writes the same pages in one of two orders, from start to start."""

COMPILED = "compiled"
"""The file that tells which pages were built last, and from what they were compiled."""

SOURCES = "EXPORT_SOURCES"
"""The variable that tells a build from what its pages were compiled."""

_NOT_BUILT_FROM = {
    BUILT,
    KEPT,
    COMPILED,
    "node_modules",  # bun.lock says what is in there.
    ".react-router",  # Written by the build.
    "reflex.json",  # Says when the app was last started.
}
_VARIABLES = ("NODE_", "REFLEX_", "VITE_")
"""How the names of variables begin that a build may ask for."""

_COMPILED_FROM = ("rxconfig.py", "reflex.lock", "solo_app", "assets")
"""And from the packages, and the variables above. The app's own settings are in no page."""

_MADE_BY_RUNNING = ("__pycache__", "assets/external")


def main(web: Path) -> int:
    """Leave a build of the pages in ``web``; gives the exit code of the build where it fails."""
    kept = web / KEPT / digest(web)
    if kept.is_dir():
        shutil.copytree(kept, web / BUILT)
        kept.touch()
        _note_compiled(web)
        return 0
    # Where it fails, the next start compiles, which also brings packages that are missing.
    (web / COMPILED).unlink(missing_ok=True)
    # The build's own words are what Reflex shows as progress.
    code = subprocess.run(BUILD, cwd=web, check=False).returncode  # noqa: S603
    if code == 0:
        _keep(web / BUILT, kept)
        _note_compiled(web)
    return code


def is_compiled(web: Path, project: Path) -> bool:
    """Whether the pages in ``web`` are those that this start would compile.

    Has the build that follows note from what they are compiled.
    """
    if "REFLEX_APP_MODULE_IMPORT" in os.environ:
        return False  # What that is made of is not known.
    os.environ[SOURCES] = sources = _named(_contents(project, _compiled_from(project)), _packages())
    try:
        return (web / COMPILED).read_text() == _compiled(web, sources)
    except OSError:
        return False


def digest(web: Path) -> str:
    """Names all that a build is made from: the same name, the same build."""
    return _named(_contents(web, _built_from(web)))


def _note_compiled(web: Path) -> None:
    if sources := os.environ.get(SOURCES):
        with suppress(OSError):  # Then the next start compiles.
            (web / COMPILED).write_text(_compiled(web, sources))


def _compiled(web: Path, sources: str) -> str:
    """Which pages are in a folder, whatever a build may ask for, and from what they are."""
    pages = sha256("".join(_contents(web, _built_from(web))).encode()).hexdigest()
    return f"{pages} from {sources}"


def _named(*parts: Iterable[str]) -> str:
    named = sha256()
    variables = (f"${k}={v}\n" for k, v in sorted(os.environ.items()) if k.startswith(_VARIABLES))
    for line in chain(*parts, variables):
        named.update(line.encode())
    return named.hexdigest()


def _contents(folder: Path, files: Iterable[Path]) -> Iterator[str]:
    for path in sorted(files):
        content = sha256(path.read_bytes()).hexdigest()
        yield f"{path.relative_to(folder).as_posix()}={content}\n"


def _built_from(web: Path) -> Iterator[Path]:
    for top in web.iterdir():
        if top.name not in _NOT_BUILT_FROM:
            yield from _files(top)


def _compiled_from(project: Path) -> Iterator[Path]:
    for top in _COMPILED_FROM:
        for path in _files(project / top):
            folder = f"{path.relative_to(project).parent.as_posix()}/"
            if not any(f"{made}/" in folder for made in _MADE_BY_RUNNING):
                yield path


def _files(top: Path) -> Iterator[Path]:
    """A file, or all in a folder and in those that links in it lead to, as Reflex copies them."""
    if top.is_file():
        yield top
    for folder, _, names in os.walk(top, followlinks=True):
        yield from filter(Path.is_file, (Path(folder, name) for name in names))


def _packages() -> Iterator[str]:
    """What is installed: Python, and when a package was last installed, replaced or removed."""
    yield sys.version
    if (reflex := find_spec("reflex")) and reflex.origin:
        yield str(Path(reflex.origin).parents[1].stat().st_mtime_ns)


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
