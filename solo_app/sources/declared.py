"""Declared sources: ``solo.toml`` gives names to source kinds with fixed parameters.

The parameters may be secret. Errors contain the file, the table and the key, but no values.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
    SOURCE_NAME,
    DeclaredSource,
    Parameters,
    SourceKind,
    error_message,
)
from solo_app.config import SettingsError

MAX_FILE_BYTES = 30_000
"""Linux limits an environment variable to 128 KiB. ``1e15,`` is four times as long in JSON."""

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


def read_declared_sources(
    file: Path, kinds: Mapping[str, SourceKind], is_startup_check: bool = False
) -> list[DeclaredSource]:
    """Return the sources that a file declares; none if it does not exist. Raises SettingsError.

    ``is_startup_check``: also check that columns and modules exist. This imports DuckDB.
    """
    context = {"folder": file.absolute().parent, "is_startup_check": is_startup_check}
    try:
        tables = _read_tables(file)
        return [_declare(name, table, kinds, context) for name, table in tables.items()]
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}.") from None


def _read_tables(file: Path) -> dict[str, object]:
    try:
        if file.exists() and not file.is_file():
            raise SettingsError("Not a file")
        content = file.read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise SettingsError(f"Longer than {MAX_FILE_BYTES} bytes")
        document = tomllib.loads(content.decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"Cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # ValueError: also invalid UTF-8, long integers.
        raise SettingsError(f"Not valid TOML: {error}") from None
    for key in document:
        if key != "sources":
            raise _error("", key, "Unknown key. Declare sources as [sources.NAME]")
    tables = document.get("sources", {})
    if not isinstance(tables, dict):
        raise _error("", "sources", "Must be a table")
    return tables


def _declare(
    name: str, table: object, kinds: Mapping[str, SourceKind], context: Mapping[str, Any]
) -> DeclaredSource:
    if not SOURCE_NAME.fullmatch(name):
        rule = "Use 1 to 64 letters, digits, dots, underscores or hyphens"
        raise _error("[sources]", name, f"{rule}, beginning with a letter or digit")
    if name in kinds:
        raise _error("[sources]", name, "Is the name of a source kind. Use another name")
    if not isinstance(table, dict):
        raise _error("[sources]", name, "Must be a table")
    values = dict(table)
    kind_name = values.pop("kind", None)
    kind = kinds.get(kind_name) if isinstance(kind_name, str) else None
    # Clients can push only to batches whose source has this name.
    if kind is None or kind.name == PUSH_SOURCE:
        allowed = ", ".join(key for key in kinds if key != PUSH_SOURCE)
        raise _error(f"[sources.{name}]", "kind", f"Must be one of {allowed}")
    model = kind.declared_parameters or kind.parameters
    try:
        parameters = model.model_validate(values, context=context)
    except ValidationError as invalid:
        error = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
        # Deeper locations contain tags of pydantic; errors of a whole model have none.
        location = error["loc"][: 1 if len(error["loc"]) > 2 else 2] or ("parameters",)
        key = ".".join(map(str, location))
        raise _error(f"[sources.{name}]", key, error_message(error)) from None
    return DeclaredSource(
        name,
        kind.description,
        Parameters,
        lambda _, run: kind.read(parameters, run),
        kind.restart,
        kind=kind.name,
    )


def _error(table: str, key: str, message: str) -> SettingsError:
    shown = key if key and key.isprintable() else repr(key)
    return SettingsError(f"{table} {shown}: {message}".strip())
