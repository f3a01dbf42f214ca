"""Settings: environment variables, their defaults and their allowed values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

HOST = "127.0.0.1"
"""The address on which the app listens: loopback only."""


class SettingsError(Exception):
    """The app cannot start. The message is one line: the cause and what to do."""


def _database_file(path: Path) -> Path:
    """Expand ``~`` and reject paths that cannot be a database file.

    DuckDB expands ``~`` too, but the code that derives file names from this path does not. DuckDB
    treats ":memory:" and ":memory:name" as in-memory databases and parses options after a "?".
    """
    try:
        path = path.expanduser()
        is_allowed = path.name and (path.is_file() or not path.exists())
    except (OSError, RuntimeError):  # The name is too long, or the home folder is unknown.
        is_allowed = False
    if not is_allowed or path.name.startswith(":memory:") or "?" in str(path):
        raise ValueError
    return path


def _existing_file(path: Path) -> Path:
    """Expand ``~`` and reject anything but a file. Default values are not validated."""
    try:
        path = path.expanduser()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError):  # See ``_database_file``; or it contains NUL.
        is_file = False
    if not is_file:
        raise ValueError
    return path


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """The settings. Each field is one environment variable with a ``description``.

    ``allowed`` in ``json_schema_extra`` describes the allowed values.
    """

    model_config = SettingsConfigDict(frozen=True)

    database: Annotated[Path, AfterValidator(_database_file)] = Field(
        Path(".solo/solo.duckdb"),
        validation_alias="SOLO_DATABASE",
        description="the DuckDB file; its folder is created and `~` is expanded",
        json_schema_extra={"allowed": "a file path without a question mark"},
    )
    interval: float = Field(
        0.25,
        validation_alias="SOLO_INTERVAL",
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds between two points of the `random` source; 0 = as fast as possible",
        json_schema_extra={"allowed": "a number of seconds from 0 to 3600"},
    )
    resume: bool = Field(
        False,
        validation_alias="SOLO_RESUME",
        description="restart interrupted batches when the app starts",
        json_schema_extra={"allowed": "true or false"},
    )
    retention_days: float | None = Field(
        None,
        validation_alias="SOLO_RETENTION_DAYS",
        gt=0,
        le=36_500,
        allow_inf_nan=False,
        description="age in days at which points move from the database to the archive next to it",
        json_schema_extra={"allowed": "a number of days above 0, up to 36500"},
    )
    config: Annotated[Path, AfterValidator(_existing_file)] = Field(
        Path("solo.toml"),
        validate_default=False,
        validation_alias="SOLO_CONFIG",
        description="the file that declares sources; `~` is expanded; the default is optional",
        json_schema_extra={"allowed": "the path of an existing file"},
    )
    backend_port: Port = Field(
        8000,
        validation_alias="REFLEX_BACKEND_PORT",
        description="the port of the API and, in production, of the pages",
        json_schema_extra={"allowed": "a whole number from 1 to 65535"},
    )
    frontend_port: Port = Field(
        3000,
        validation_alias="REFLEX_FRONTEND_PORT",
        description="the port of the pages in development; leave it unset in production",
        json_schema_extra={"allowed": "a whole number from 1 to 65535"},
    )

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Strip whitespace, such as the ``\\r`` of a Windows file. Treat empty values as unset."""
        stripped = {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}
        return {k: v for k, v in stripped.items() if v != ""}


def read_settings() -> Settings:
    """Read the settings from the environment. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(
            " ".join(_format_error(e["loc"][0], str(e["input"])) for e in error.errors())
        ) from None


def _format_error(variable: object, value: str) -> str:
    for field in Settings.model_fields.values():
        if field.validation_alias == variable:
            extra = field.json_schema_extra
            assert isinstance(extra, dict)
            shown = (value if value.isprintable() else repr(value))[:80]
            return f"{variable}={shown} is not allowed: it must be {extra['allowed']}."
    raise AssertionError(variable)


def allowed_origins(settings: Settings) -> list[str]:
    """Return the origins of the app's own pages."""
    names = ("localhost", HOST)
    return [
        f"http://{name}:{port}"
        for port in (settings.frontend_port, settings.backend_port)
        for name in names
    ]
