"""Declared sources: ``solo.toml`` gives names to source kinds with fixed parameters.

The parameters may be secret. Errors contain the file, the table and the key, but no values.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import (
    BeforeValidator,
    DirectoryPath,
    Field,
    FilePath,
    ValidationError,
    ValidationInfo,
)

from solo_app.batches.source import (
    PUSH_SOURCE,
    DeclaredSource,
    Numbers,
    Parameters,
    RunContext,
    SourceKind,
    error_message,
)
from solo_app.config import SettingsError

SOURCE_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_NAME_RULE = (
    "Use 1 to 64 letters, digits, dots, underscores or hyphens, beginning with a letter or digit"
)


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Text without null characters."""


def _resolve(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError("Must be a path")
    assert info.context
    path: Path = info.context["folder"] / os.path.expanduser(value)  # noqa: PTH111 (never raises)
    if not os.path.exists(path):  # noqa: PTH110 (never raises)
        raise ValueError("File or folder not found")
    return path


DeclaredFile = Annotated[FilePath, BeforeValidator(_resolve)]
"""An existing file. Relative paths refer to the folder of ``solo.toml``."""

DeclaredFolder = Annotated[DirectoryPath, BeforeValidator(_resolve), Field(validate_default=True)]
"""An existing folder. Relative paths refer to the folder of ``solo.toml``."""


def read_declared_sources(file: Path, kinds: Mapping[str, SourceKind]) -> list[DeclaredSource]:
    """Return the sources that a file declares; none if it does not exist. Raises SettingsError."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # ValueError: also invalid UTF-8, long integers.
        raise SettingsError(f"{file} is not valid TOML: {error}.") from None
    for key in document:
        if key != "sources":
            raise _error(file, "", key, "Unknown key. Declare sources as [sources.NAME]")
    tables = document.get("sources", {})
    if not isinstance(tables, dict):
        raise _error(file, "", "sources", "Must be a table")
    return [_declare(file, name, table, kinds) for name, table in tables.items()]


def _declare(
    file: Path, name: str, table: object, kinds: Mapping[str, SourceKind]
) -> DeclaredSource:
    if not SOURCE_NAME.fullmatch(name):
        raise _error(file, "sources", name, _NAME_RULE)
    if name in kinds:
        raise _error(file, "sources", name, "Is the name of a source kind. Use another name")
    if not isinstance(table, dict):
        raise _error(file, "sources", name, "Must be a table")
    values = dict(table)
    kind_name = values.pop("kind", None)
    # Clients can push only to batches whose source has this name.
    allowed = {key: kind for key, kind in kinds.items() if key != PUSH_SOURCE}
    if not isinstance(kind_name, str) or kind_name not in allowed:
        message = f"Must be one of {', '.join(allowed)}"
        raise _error(file, f"sources.{name}", "kind", message)
    kind = allowed[kind_name]
    model = kind.declared_parameters or kind.parameters
    try:
        parameters = model.model_validate(values, context={"folder": file.absolute().parent})
    except ValidationError as invalid:
        error = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
        key = ".".join(map(str, loc[:-2] if (loc := error["loc"])[-1] == "[key]" else loc))
        raise _error(file, f"sources.{name}", key, error_message(error)) from None

    def read(_: Parameters, run: RunContext) -> AsyncIterator[Numbers]:
        return kind.read(parameters, run)

    return DeclaredSource(name, kind.description, Parameters, read, kind.restart, kind=kind.name)


def _error(file: Path, table: str, key: str, message: str) -> SettingsError:
    shown = key if key.isprintable() else repr(key)
    where = f"[{table}] {shown}" if table else shown
    return SettingsError(f"{file}: {where}: {message}.")
