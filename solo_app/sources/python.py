"""The source ``python``: an async generator in a child process.

Code that blocks, leaks or crashes cannot harm the app or other batches.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import Field

from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources import python_child
from solo_app.sources.command import read_numbers
from solo_app.sources.declared import DeclaredFolder


class PythonParameters(Parameters):
    target: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="The async generator, as module:function",
    )
    arguments: dict[str, Any] = Field(
        {}, description="Keyword arguments of the function; dates and times arrive as text"
    )
    cwd: DeclaredFolder = Field(Path(), description="Folder of the module and working directory")


def _read(parameters: PythonParameters, run: RunContext) -> AsyncIterator[Numbers]:
    # Not passed as an argument, which all users of the machine can list.
    settings = json.dumps(dict(parameters), default=str)
    # -P: the folder of the script contains modules such as `random`. -u: `print` does not buffer.
    command = [sys.executable, "-Pu", python_child.__file__]
    return read_numbers(command, parameters.cwd, {python_child.VARIABLE: settings}, run)


PYTHON = SourceKind(
    "python",
    "Numbers from an async Python generator.",
    PythonParameters,
    _read,
    is_declared_only=True,
)
