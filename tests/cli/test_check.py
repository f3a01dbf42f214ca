"""`python -m solo_app check` checks settings, declared sources and the database."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.cli.command import run_command


def test_check_reports_usable_database(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    expected = f"The database {database} does not exist yet and can be created.\n"
    assert run_command("check", str(database)) == (0, expected, "")
    duckdb.connect(database).close()
    expected = f"The database {database} can be used.\n"
    assert run_command("check", SOLO_DATABASE=f" {database}\r") == (0, expected, "")


def test_check_reports_one_line_and_exit_code_1(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    with duckdb.connect(database):
        code, output, error = run_command("check", SOLO_DATABASE=str(database))
    assert (code, output) == (1, "")
    assert "in use by another process" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("variable", ["SOLO_INTERVAL", "SOLO_CONFIG"])
def test_check_reports_invalid_settings(variable: str) -> None:
    code, output, error = run_command("check", **{variable: "soon"})
    assert (code, output) == (1, "")
    assert error.startswith(f"{variable}=soon is not allowed: ")
    assert len(error.splitlines()) == 1
