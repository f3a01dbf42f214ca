"""The source ``python``: an async generator in a child process.

Code that blocks, leaks or crashes cannot harm the app or other batches.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from pydantic import Field, JsonValue, ValidationInfo, field_validator

from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources import python_child
from solo_app.sources.command import read_numbers
from solo_app.sources.declared import DeclaredFolder


class PythonParameters(Parameters):
    cwd: DeclaredFolder = Field(Path(), description="Folder of the module and working directory")
    target: str = Field(description="The async generator, as module:function")  # After `cwd`.
    arguments: dict[str, JsonValue] = Field({}, description="Keyword arguments of the function")

    @field_validator("target")
    @classmethod
    def _check_module(cls, target: str, info: ValidationInfo) -> str:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", target):
            raise ValueError("Must be module:function, such as reader:read")
        if "cwd" in info.data and info.context and info.context["is_startup_check"]:
            # Imports no module. `sys.path[0]` is the folder of the app, which runs do not use.
            folders: Sequence[str] = [str(info.data["cwd"]), *sys.path[1:]]
            for name in target.partition(":")[0].split("."):
                specs = (finder.find_spec(name, folders) for finder in sys.meta_path)
                if not (spec := next(filter(None, specs), None)):
                    raise ValueError("Module not found. For a file reader.py, use reader:FUNCTION")
                folders = spec.submodule_search_locations or []
        return target


def _read(parameters: PythonParameters, run: RunContext) -> AsyncIterator[Numbers]:
    # Not passed as an argument, which all users of the machine can list.
    settings = json.dumps(parameters.model_dump(mode="json"))
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
