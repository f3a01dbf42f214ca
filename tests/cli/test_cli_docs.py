"""docs/cli.md and the help list every command, and show real output."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from solo_app.cli.main import main
from solo_app.sources.host import HOST
from tests.api.test_api_docs import examples
from tests.cli.command import command_environment, run_command, running_app
from tests.helpers.running_app import PROJECT

pytestmark = pytest.mark.anyio

DOCUMENT = (PROJECT / "docs" / "cli.md").read_text()


def test_document_lists_every_command() -> None:
    documented = re.findall(r"^\| `([a-z]+)[^`]*` \|", DOCUMENT, re.M)
    assert documented == list(main.commands)


@pytest.mark.parametrize("command", ["", *main.commands])
def test_help_has_an_example(command: str) -> None:
    code, output, error = run_command(*command.split(), "--help")
    assert (code, error) == (0, "")
    assert f"python -m solo_app {command or 'start'}" in output.partition("Example")[2]


async def test_documented_commands_print_the_documented_output(tmp_path: Path) -> None:
    async with running_app(tmp_path / "solo.duckdb", host=HOST) as (_, url):
        for command, expected in examples(DOCUMENT):
            process = await asyncio.create_subprocess_shell(
                command.replace("python", sys.executable),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=command_environment(REFLEX_BACKEND_PORT=url.rpartition(":")[2]),
            )
            assert (await process.communicate())[0].decode() == expected, command
