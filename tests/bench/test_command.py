"""What ``python -m bench`` offers, and the page it writes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.figures import Figure, under

pytest.importorskip("psutil", reason="the benchmarks need requirements-dev.txt")

from bench import __main__, soak
from bench.__main__ import main
from bench.registry import BENCHMARKS
from bench.report import Result, table, write_page

RESULTS = [
    Result("some", "Some figures.", [Figure("wait", "ms", [1, 3, 2], targets=(under(2),))]),
    Result("none", "No figures.", missing="there is no browser"),
]

MACHINE = [("processor", "some"), ("commit", "abc")]


def test_the_list_names_every_benchmark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--list"])
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    names, abouts = zip(*(line.split(maxsplit=1) for line in lines), strict=True)
    assert list(names) == [*BENCHMARKS, "soak"]
    columns = {line.index(about) for line, about in zip(lines, abouts, strict=True)}
    assert len(columns) == 1


def test_a_name_that_is_none_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "ingset"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "no benchmark is named ingset" in capsys.readouterr().err


def test_the_table_has_every_figure_and_what_is_missing() -> None:
    lines = table(RESULTS).splitlines()
    assert re.match(r"wait +2 ms +1 - 3 +under 2 +\*\*no\*\*$", lines[2])
    assert lines[3] == "none: there is no browser"


def test_a_rerun_replaces_what_was_measured_and_keeps_what_was_written(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Title\n\n<!-- run: begin -->\nold\n<!-- run: end -->\n\nBy hand.\n")
    write_page(page, "run", RESULTS, seconds=60, machine=MACHINE)
    write_page(page, "soak", RESULTS[:1], seconds=60, machine=MACHINE)
    once = page.read_text()
    assert (tmp_path / "performance" / "some.svg").read_text().startswith("<svg ")
    assert once.startswith("# Title\n\n<!-- run: begin -->\nMeasured ")
    assert "old" not in once
    assert "\n\nBy hand.\n" in once
    assert once.count("| wait | 2 ms | 1 - 3 | under 2 | **no** |") == 2
    write_page(page, "run", RESULTS, seconds=60, machine=MACHINE)
    assert page.read_text() == once


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ([], "run"),
        (["--quick"], None),
        (["ingest"], None),
        (["soak"], "soak"),
        (["soak", "--minutes", "29"], None),
        (["soak", "ingest"], None),
    ],
)
def test_only_a_whole_run_replaces_what_is_written(
    command: list[str], part: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(sys, "argv", ["bench", *command])
    monkeypatch.setattr(
        __main__, "_run", lambda name, _: Result(name, "About.", RESULTS[0].figures)
    )
    monkeypatch.setattr(__main__, "write_page", lambda _, part, *more: written.append(part))
    assert main() == 0
    assert written == ([part] if part else [])


@pytest.mark.parametrize("command", [["soak"], []])
def test_what_broke_replaces_nothing(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SimpleNamespace(about="About.", measure=lambda *_: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["bench", *command])
    monkeypatch.setattr(__main__, "BENCHMARKS", {"some": broken})
    monkeypatch.setattr(soak, "measure", broken.measure)
    monkeypatch.setattr(__main__, "write_page", lambda *_: pytest.fail("written"))
    assert main() == 1
