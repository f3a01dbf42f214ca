"""The source ``command``: a number from each line of a program's output."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import numpy as np
from jsonpointer import JsonPointer
from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from solo_app.batches.errors import SourceError
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.declared import DeclaredFolder, Text
from solo_app.sources.pointer import Pointer, find_number
from solo_app.sources.process import read_lines


def _check_name(name: str) -> str:
    if not name or "=" in name:
        raise ValueError("Must be the name of an environment variable")
    return name


VariableName = Annotated[Text, AfterValidator(_check_name)]


class CommandParameters(Parameters):
    cwd: DeclaredFolder = Field(
        Path(),
        validate_default=True,
        description="Working directory; default: the folder of solo.toml",
    )
    env: dict[VariableName, Text] = Field({}, description="Additional environment variables")
    argv: list[Text] = Field(min_length=1, description="The program and its arguments; no shell")
    pointer: Pointer = Field(
        "", description='Such as /main/temp; empty: each line is a number or {"key": number}'
    )

    @field_validator("argv")
    @classmethod
    def _check_program(cls, argv: list[str], info: ValidationInfo) -> list[str]:
        if not {"cwd", "env"} <= info.data.keys():
            return argv  # They are invalid.
        program, path = argv[0], info.data["env"].get("PATH")
        if os.sep in program:  # Relative to the working directory.
            program = str(info.data["cwd"] / program)
        if not shutil.which(program, path=path):
            raise ValueError("Program not found")
        return argv


async def _numbers(parameters: CommandParameters, run: RunContext) -> AsyncIterator[Numbers]:
    pointer = JsonPointer(parameters.pointer)
    output = read_lines(parameters.argv, parameters.cwd, parameters.env, run)
    async with aclosing(output):
        async for lines in output:
            yield np.array(parse_lines(lines, pointer, run))


WHOLE_LINE = JsonPointer("")

_KEY = JsonPointer("/key")
"""The number in a line such as {"key": 5}. Other members are ignored."""

_NO_KEY = "Line has no number in `key`, and no `pointer` is declared"

_PLAIN_NUMBERS = re.compile(rb"[-+.0-9eE\r,]*")
_NUMBERS = TypeAdapter(list[Annotated[float, Field(strict=True, allow_inf_nan=False)]])


def parse_lines(lines: list[bytes], pointer: JsonPointer, run: RunContext) -> list[float]:
    """Return the numbers in the lines. Lines without a number are logged and skipped."""
    if not pointer.path:
        text = b",".join(lines)
        # Fast path. Other characters could merge several lines into one value.
        if _PLAIN_NUMBERS.fullmatch(text) and text.count(b",") == len(lines) - 1:
            try:
                return _NUMBERS.validate_json(b"[" + text + b"]")
            except ValidationError:
                pass
    numbers = []
    for line in lines:
        if not line or line.isspace():
            continue
        is_object = not pointer.path and line.lstrip().startswith(b"{")
        try:
            numbers.append(find_number(line, _KEY if is_object else pointer, "Line"))
        except SourceError as error:
            reason = _NO_KEY if is_object else error
            run.log(f"Skipped: {reason}: {line.decode(errors='replace').strip()}")
    return numbers


COMMAND = SourceKind(
    "command",
    "Numbers in the output of a program.",
    CommandParameters,
    _numbers,
    is_declared_only=True,
)
