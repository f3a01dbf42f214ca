"""The layers of the code, and the names of tests."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.helpers.running_app import PROJECT


def test_imports_follow_the_contracts() -> None:
    pytest.importorskip("importlinter", reason="the import contract needs requirements-dev.txt")
    check = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr
    assert ", 0 broken" in check.stdout


def test_names_of_tests_have_at_most_ten_words() -> None:
    for path in (PROJECT / "tests").rglob("test_*.py"):
        for name in re.findall(r"\bdef test_(\w+)", path.read_text()):
            assert len(name.split("_")) <= 10, f"{path.name}: test_{name}"
