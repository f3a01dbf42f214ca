"""Tables of figures and the document that contains them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("wsproto", reason="the benchmarks need requirements-dev.txt")

from bench.report import Table, format_number, format_rounds, write_document


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9_876_543.2, "9,876,543"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.01234, "0.0123"),
        (100.0, "100"),
        (0, "0"),
    ],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("rounds", "text"),
    [((2,), "2"), ((5, 1, 9, 2), "3.5 (1 to 9)"), ((100, 100), "100")],
)
def test_figure_is_median_with_spread_of_rounds(rounds: tuple[float, ...], text: str) -> None:
    assert format_rounds(rounds) == text


def test_table_has_a_row_per_case_and_empty_cells() -> None:
    table = Table("Some", "a (ms)", "b (%)")
    table.add("one", {"a (ms)": 1, "b (%)": 100})
    table.add("two", {"a (ms)": 7})
    table.add("one", {"a (ms)": 3, "b (%)": 100})
    assert str(table).splitlines() == [
        "### Some",
        "",
        "|  | a (ms) | b (%) |",
        "| --- | --- | --- |",
        "| one | 2 (1 to 3) | 100 |",
        "| two | 7 |  |",
    ]


@pytest.mark.parametrize(
    ("target", "cell"),
    [
        ({"below": 5.5}, "5, target < 5.5"),
        ({"below": 5}, "5, **missed** target < 5"),
        ({"at_least": 5}, "5, target ≥ 5"),
        ({"at_least": 5.5}, "5, **missed** target ≥ 5.5"),
    ],
)
def test_target_is_next_to_its_figure(target: dict[str, float], cell: str) -> None:
    table = Table("Some", "ms", "s")
    table.add("one", {"ms": 5, "s": 6})
    table.target("one", "ms", **target)
    table.target("not measured", "ms", below=1)
    assert str(table).splitlines()[-1] == f"| one | {cell} | 6 |"


def test_document_keeps_text_outside_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# Title\n\n<!-- run: begin -->\nold\n<!-- run: end -->\n\nBy hand.\n")
    table = Table("Some", "ms")
    table.add("one", {"ms": 5})
    for _ in range(2):
        write_document(document, "run", [table], "Measured.")
        assert document.read_text() == (
            f"# Title\n\n<!-- run: begin -->\nMeasured.\n\n{table}<!-- run: end -->\n\nBy hand.\n"
        )


def test_document_without_markers_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# Title\n<!-- run: begin -->\n")
    with pytest.raises(ValueError, match="has no part run"):
        write_document(document, "run", [], "Measured.")
    assert document.read_text() == "# Title\n<!-- run: begin -->\n"
