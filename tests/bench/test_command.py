"""The command line of the benchmarks."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("playwright", reason="the benchmarks need requirements-dev.txt")

from bench import __main__
from bench.__main__ import SOAK, main
from bench.report import DOCUMENT


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    main()


def test_unknown_benchmark_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run(monkeypatch, "ingset")
    assert exit_info.value.code == 2
    assert "unknown benchmark: ingset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["run"]),
        (["--quick"], []),
        (["some"], []),
        (["soak"], ["soak"]),
        (["soak", "some"], []),
    ],
)
def test_only_full_runs_update_the_document(
    arguments: list[str], parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    updated: list[str] = []
    benchmark = SimpleNamespace(measure=lambda _: [])
    monkeypatch.setattr(__main__, "BENCHMARKS", {"some": benchmark})
    monkeypatch.setattr(__main__, "soak", benchmark)
    monkeypatch.setattr(__main__, "write_document", lambda _, part, *rest: updated.append(part))
    run(monkeypatch, *arguments)
    assert updated == parts


@pytest.mark.parametrize("part", ["run", SOAK])
def test_document_has_markers_for_each_part(part: str) -> None:
    text = DOCUMENT.read_text()
    assert text.index(f"<!-- {part}: begin -->") < text.index(f"<!-- {part}: end -->")
