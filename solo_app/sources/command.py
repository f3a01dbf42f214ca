"""The source ``command``: a number from each line of a program's output."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import numpy as np
from jsonpointer import JsonPointer
from pydantic import Field, ValidationInfo, field_validator

from solo_app.batches.errors import SourceError
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.declared import DeclaredFolder, Text
from solo_app.sources.pointer import Pointer, find_number
from solo_app.sources.process import MAX_LINE_BYTES, read_lines

VariableName = Annotated[str, Field(pattern=r"^[^=\x00]+$")]

_KEY = JsonPointer("/key")


class CommandParameters(Parameters):
    cwd: DeclaredFolder = Field(Path(), description="Working directory, relative to solo.toml")
    env: dict[VariableName, Text] = Field({}, description="Additional environment variables")
    argv: list[Text] = Field(min_length=1, description="The program and its arguments; no shell")
    pointer: Pointer = Field(
        "", description='Such as /main/temp; empty: each line is a number or {"key": number}'
    )

    @field_validator("argv")
    @classmethod
    def _check_program(cls, argv: list[str], info: ValidationInfo) -> list[str]:
        if {"cwd", "env"} <= info.data.keys():  # They are valid.
            program = info.data["cwd"] / argv[0] if os.sep in argv[0] else argv[0]
            if not shutil.which(program, path=info.data["env"].get("PATH")):
                raise ValueError("Program not found or not executable. A path needs a slash")
        return argv


def _read(parameters: CommandParameters, run: RunContext) -> AsyncIterator[Numbers]:
    return read_numbers(parameters.argv, parameters.cwd, parameters.env, run, parameters.pointer)


async def read_numbers(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str],
    run: RunContext,
    pointer: str = "",
) -> AsyncIterator[Numbers]:
    """Run a program and yield the numbers in its output. See ``read_lines``."""
    async with aclosing(read_lines(command, folder, variables, run)) as output:
        async for lines in output:
            yield np.array(parse_lines(lines, run, pointer))


def parse_lines(lines: list[bytes], run: RunContext, pointer: str = "") -> list[float]:
    """Return the numbers in the lines. Lines without a number are logged and skipped."""
    numbers, parsed_pointer = [], JsonPointer(pointer)
    for line in lines:
        if not line or line.isspace():
            continue
        try:
            numbers.append(_parse(line, parsed_pointer))
        except SourceError as error:
            run.log(f"Skipped: {error}: {line.decode(errors='replace').strip()}")
    return numbers


def _parse(line: bytes, pointer: JsonPointer) -> float:
    if len(line) > MAX_LINE_BYTES:
        raise SourceError(f"Line is longer than {MAX_LINE_BYTES} bytes")
    if pointer.path or not line.lstrip().startswith(b"{"):
        return find_number(line, pointer, "Line")
    try:
        return find_number(line, _KEY, "Line")
    except SourceError:
        message = "Line has no number in `key`, and no `pointer` is declared"
        raise SourceError(message) from None


COMMAND = SourceKind(
    "command",
    "Numbers in the output of a program.",
    CommandParameters,
    _read,
    is_declared_only=True,
)
