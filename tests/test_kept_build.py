"""The pages are built once for all starts that find them as they were."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from solo_app import kept_build

BUILDER = """#!/bin/sh
echo built >> builds.txt
[ -e app/broken.jsx ] && exit 3
mkdir build && cp app/* build/
"""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pages, and a builder that notes each time it builds them."""
    folder = tmp_path / ".web"
    for name in ("app/root.jsx", "node_modules/pkg/index.js", "reflex.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"the first {name}")
    builder = tmp_path / "builder"
    builder.write_text(BUILDER)
    builder.chmod(0o755)
    monkeypatch.setattr(kept_build, "BUILD", [str(builder)])
    monkeypatch.setattr(kept_build, "_NOT_BUILT_FROM", {*kept_build._NOT_BUILT_FROM, "builds.txt"})
    return folder


def start(web: Path) -> str | None:
    """What is served after a start, which begins without a build as Reflex does."""
    for file in web.glob("build/*"):
        file.unlink()
    if (web / "build").exists():
        (web / "build").rmdir()
    assert kept_build.main(web) == 0
    return (web / "build" / "root.jsx").read_text()


def builds(web: Path) -> int:
    return (web / "builds.txt").read_text().count("built")


def test_the_same_pages_are_built_once(web: Path) -> None:
    assert start(web) == start(web) == "the first app/root.jsx"
    (web / "reflex.json").write_text("started just now")
    (web / "node_modules/pkg/cache.js").write_text("made by the build")
    assert start(web) == "the first app/root.jsx"
    assert builds(web) == 1


def test_other_pages_are_built_and_the_ones_before_are_still_known(web: Path) -> None:
    start(web)
    (web / "app/root.jsx").write_text("the second")
    assert start(web) == "the second"
    assert builds(web) == 2
    (web / "app/root.jsx").write_text("the first app/root.jsx")
    assert start(web) == "the first app/root.jsx"
    assert builds(web) == 2


@pytest.mark.parametrize("change", ["added", "renamed", "variable"])
def test_whatever_a_build_is_made_from_tells_it_from_others(
    web: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(web)
    if change == "added":
        (web / "app/other.jsx").write_text("")
    elif change == "renamed":
        (web / "vite.config.js").write_text("")
        start(web)
        (web / "vite.config.js").rename(web / "vite.config.ts")
    else:
        monkeypatch.setenv("VITE_MINIFY", "false")
    before = builds(web)
    start(web)
    assert builds(web) == before + 1


def test_the_latest_few_are_kept(web: Path) -> None:
    for n in range(kept_build.MOST + 2):
        (web / "app/root.jsx").write_text(f"page {n}")
        start(web)
    assert len(list((web / "kept-builds").iterdir())) == kept_build.MOST


def test_a_build_that_fails_is_told_and_not_kept(web: Path) -> None:
    (web / "app/broken.jsx").write_text("")
    assert kept_build.main(web) == 3
    assert not (web / "kept-builds").exists()


def test_a_build_that_was_kept_in_part_is_made_again(web: Path) -> None:
    unfinished = web / "kept-builds" / f"{kept_build.digest(web)}.unfinished"
    unfinished.mkdir(parents=True)
    assert start(web) == "the first app/root.jsx"
    assert builds(web) == 1
    assert not unfinished.exists()


def test_a_build_that_cannot_be_kept_is_served_all_the_same(
    web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", full)
        assert start(web) == "the first app/root.jsx"
    assert start(web) == "the first app/root.jsx"
    assert builds(web) == 2


def test_of_two_starts_that_keep_the_same_build_both_serve_it(
    web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync() -> None:
        kept = web / kept_build.KEPT / kept_build.digest(web)
        if not kept.exists():
            shutil.copytree(web / "build", kept)

    monkeypatch.setattr(os, "sync", sync)
    assert start(web) == start(web) == "the first app/root.jsx"
    assert len(list((web / kept_build.KEPT).iterdir())) == 1
