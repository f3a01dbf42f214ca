"""Settings, read once from the environment, and what of them is fixed.

A value that does not parse is refused with one line that names the variable, the value and
what is allowed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

HOST = "127.0.0.1"
"""The address the app listens on: this machine and no other."""


class SettingsError(Exception):
    """A setting has a value that is not allowed; the text is one line for a person."""


def _a_file(path: Path) -> Path:
    try:
        fits = path.name and (path.is_file() or not path.exists())
    except OSError:  # A name too long for any file.
        fits = False
    # ":memory:" is DuckDB's word for no file at all, and what follows a "?" it takes for options:
    # it would put the log somewhere else.
    if not fits or path.name == ":memory:" or "?" in str(path):
        raise ValueError
    return path


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """Each field is one environment variable; its description says what it means and ``allowed``
    (in ``json_schema_extra``) what it may be."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database: Annotated[Path, AfterValidator(_a_file)] = Field(
        Path(".solo/solo.duckdb"),
        validation_alias="SOLO_DATABASE",
        description="the DuckDB file; its folder is made when missing",
        json_schema_extra={"allowed": "the path of a file, without a question mark"},
    )
    interval: float = Field(
        0.25,
        validation_alias="SOLO_INTERVAL",
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds between two points of the `random` source; 0 = as fast as it goes",
        json_schema_extra={"allowed": "a number of seconds from 0 to 3600"},
    )
    resume: bool = Field(
        False,
        validation_alias="SOLO_RESUME",
        description="start interrupted batches again when the app starts",
        json_schema_extra={"allowed": "true or false"},
    )
    retention_days: float | None = Field(
        None,
        validation_alias="SOLO_RETENTION_DAYS",
        gt=0,
        le=36_500,
        allow_inf_nan=False,
        description="days after which points go from the database into the archive beside it",
        json_schema_extra={"allowed": "a number of days above 0, up to 36500"},
    )
    backend_port: Port = Field(
        8000,
        validation_alias="REFLEX_BACKEND_PORT",
        description="the port of the API, and in production of the pages too",
        json_schema_extra={"allowed": "a whole number from 1 to 65535"},
    )
    frontend_port: Port = Field(
        3000,
        validation_alias="REFLEX_FRONTEND_PORT",
        description="the port of the pages in development; leave it unset in production",
        json_schema_extra={"allowed": "a whole number from 1 to 65535"},
    )


def read_settings() -> Settings:
    """The settings as the environment has them now. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(
            " ".join(_complaint(e["loc"][0], e["input"]) for e in error.errors())
        ) from None


@cache
def settings() -> Settings:
    """The settings of this process. Raises SettingsError."""
    return read_settings()


def _complaint(variable: object, value: object) -> str:
    for field in Settings.model_fields.values():
        if field.validation_alias == variable:
            extra = field.json_schema_extra
            assert isinstance(extra, dict)
            shown = " ".join(str(value).split())[:80]
            return f"{variable}={shown} is not allowed: it must be {extra['allowed']}."
    raise AssertionError(variable)


def own_origins(ports: Settings) -> list[str]:
    """The web origins that the app's own pages have: the only ones that may speak to it."""
    names = ("localhost", HOST)
    return [
        f"http://{name}:{port}"
        for port in (ports.frontend_port, ports.backend_port)
        for name in names
    ]
