"""The layers of the code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.running_app import PROJECT


def test_imports_keep_to_their_contracts() -> None:
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
