"""`python -m solo_app check` checks settings, declared sources and the database."""

from __future__ import annotations

import subprocess
from pathlib import Path

import duckdb
import pytest

from tests.cli.command import COMMAND, command_environment, run_command


def test_check_reports_usable_database(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    none = "Declared sources: none.\n"
    expected = f"The database {database} does not exist yet and can be created.\n{none}"
    assert run_command("check", SOLO_DATABASE=str(database)) == (0, expected, "")
    duckdb.connect(database).close()
    expected = f"The database {database} can be used.\n{none}"
    assert run_command("check", SOLO_DATABASE=f" {database}\r") == (0, expected, "")


def test_check_reports_a_database_in_use(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    environment = command_environment(SOLO_DATABASE=str(database))
    with duckdb.connect(database):
        done = subprocess.run(
            [*COMMAND, "check"], capture_output=True, text=True, check=False, env=environment
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert "in use by another process" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_check_reports_invalid_declared_sources(tmp_path: Path) -> None:
    file = tmp_path / "solo.toml"
    file.write_text('[sources.a]\nkind = "host"\ninterval = 0\n')
    code, output, error = run_command("check", SOLO_CONFIG=str(file))
    assert (code, output) == (1, "")
    assert error.startswith(f"{file}: [sources.a] interval: ")


def test_check_reads_the_files_of_declared_sources(tmp_path: Path) -> None:
    file = tmp_path / "solo.toml"
    file.write_text('[sources.a]\nkind = "replay"\npath = "a.csv"\ncolumn = "w"\n')
    (tmp_path / "a.csv").write_text("v\n1\n")
    expected = f"{file}: [sources.a] path: `column` is not in the file.\n"
    assert run_command("check", SOLO_CONFIG=str(file)) == (1, "", expected)
    (tmp_path / "a.csv").write_text("v,w\n1,2\n")
    code, output, _ = run_command("check", SOLO_CONFIG=str(file))
    assert (code, output.splitlines()[-1]) == (0, "Declared sources: a.")


@pytest.mark.parametrize("variable", ["SOLO_INTERVAL", "SOLO_CONFIG"])
def test_check_reports_invalid_settings(variable: str) -> None:
    code, output, error = run_command("check", **{variable: "soon"})
    assert (code, output) == (1, "")
    assert error.startswith(f"{variable}=soon is not allowed: ")
    assert len(error.splitlines()) == 1
