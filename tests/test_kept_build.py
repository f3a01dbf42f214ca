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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of what pages are compiled from, beside the pages."""
    for name in ("rxconfig.py", "solo_app/ui/home.py", "assets/solo.css", "reflex.lock/bun.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"the first {name}")
    return tmp_path


@pytest.fixture
def compiled(web: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pages of the project, compiled and built by the start before."""
    monkeypatch.setenv(kept_build.SOURCES, "")  # Taken back afterwards.
    assert not kept_build.is_compiled(web, project)
    start(web)
    return web


def test_pages_that_would_be_the_same_are_not_compiled_again(compiled: Path, project: Path) -> None:
    (project / "solo_app/__pycache__").mkdir()
    (project / "solo_app/__pycache__/home.pyc").write_text("made by running it")
    (project / "README.md").write_text("in no page")
    (project / "assets/external").mkdir()
    (project / "assets/external/shared.js").write_text("put there by Reflex")
    (compiled / "reflex.json").write_text("started just now")
    assert kept_build.is_compiled(compiled, project)
    start(compiled)
    assert kept_build.is_compiled(compiled, project)


@pytest.mark.parametrize(
    "changed",
    [
        "rxconfig.py",
        "solo_app/ui/home.py",
        "solo_app/ui/new.py",
        "assets/solo.css",
        "reflex.lock/bun.lock",
        ".web/app/root.jsx",
        ".web/env.json",
    ],
)
def test_pages_that_would_be_others_are_compiled(
    compiled: Path, project: Path, changed: str
) -> None:
    (project / changed).write_text("the second")
    assert not kept_build.is_compiled(compiled, project)
    start(compiled)
    assert kept_build.is_compiled(compiled, project)


def test_what_a_link_leads_to_is_looked_at(compiled: Path, project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/font.css").write_text("the first")
    (project / "assets/fonts").symlink_to(tmp_path / "elsewhere")
    kept_build.is_compiled(compiled, project)
    start(compiled)
    assert kept_build.is_compiled(compiled, project)
    (tmp_path / "elsewhere/font.css").write_text("the second")
    assert not kept_build.is_compiled(compiled, project)


def test_a_build_that_fails_has_the_next_start_compile(compiled: Path, project: Path) -> None:
    assert kept_build.is_compiled(compiled, project)
    shutil.rmtree(compiled / kept_build.KEPT)
    shutil.rmtree(compiled / "build")
    builder = Path(kept_build.BUILD[0])
    builder.rename(builder.with_suffix(".gone"))
    with pytest.raises(FileNotFoundError):
        kept_build.main(compiled)
    builder.with_suffix(".gone").rename(builder)
    assert not kept_build.is_compiled(compiled, project)


def test_another_reflex_another_setting_of_it_and_another_app_compile_pages(
    compiled: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr(kept_build, "_packages", lambda: iter(["another"]))
        assert not kept_build.is_compiled(compiled, project)
    with monkeypatch.context() as other:
        other.setenv("REFLEX_ENV_MODE", "dev")
        assert not kept_build.is_compiled(compiled, project)
    with monkeypatch.context() as other:
        other.setenv("REFLEX_APP_MODULE_IMPORT", "bench.soak_app")
        assert not kept_build.is_compiled(compiled, project)
    assert kept_build.is_compiled(compiled, project)


def test_pages_whose_build_failed_are_compiled_again(compiled: Path, project: Path) -> None:
    (compiled / "app/broken.jsx").write_text("")
    assert not kept_build.is_compiled(compiled, project)
    shutil.rmtree(compiled / "build")
    assert kept_build.main(compiled) == 3
    assert not kept_build.is_compiled(compiled, project)
