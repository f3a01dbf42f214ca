"""The source ``python``: an async generator in a child process.

Code that blocks, leaks or crashes cannot harm the app or other batches.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources import python_child
from solo_app.sources.command import WHOLE_LINE, parse_lines
from solo_app.sources.declared import DeclaredFolder
from solo_app.sources.process import read_lines


class PythonParameters(Parameters):
    target: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="The async generator, as module:function",
    )
    arguments: dict[str, Any] = Field({}, description="Keyword arguments of the function")
    cwd: DeclaredFolder = Field(
        Path(),
        validate_default=True,
        description="Folder of the module and working directory; default: the folder of solo.toml",
    )

    @field_validator("arguments")
    @classmethod
    def _check_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(arguments)
        except (TypeError, RecursionError):
            raise ValueError("Must not contain dates or times; use text") from None
        return arguments


async def _numbers(parameters: PythonParameters, run: RunContext) -> AsyncIterator[Numbers]:
    # Not an argument of the program, which all users of the machine can list.
    settings = json.dumps({**dict(parameters), "cwd": str(parameters.cwd)})
    # -P: the folder of the script contains modules such as `random`.
    command = [sys.executable, "-P", python_child.__file__]
    output = read_lines(command, parameters.cwd, {python_child.VARIABLE: settings}, run)
    async with aclosing(output):
        async for lines in output:
            yield np.array(parse_lines(lines, WHOLE_LINE, run))


PYTHON = SourceKind(
    "python",
    "Numbers from an async Python generator.",
    PythonParameters,
    _numbers,
    is_declared_only=True,
)
