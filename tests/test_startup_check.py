"""The checks of ports and database before `reflex run` starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from solo_app.config import Settings, SettingsError
from solo_app.startup_check import check_startup
from tests.helpers.running_app import PROJECT, free_port

DEFAULTS: dict[str, Any] = {
    "env": "dev",
    "frontend_only": False,
    "backend_only": False,
    "frontend_port": None,
    "backend_port": None,
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        SOLO_DATABASE=tmp_path / "solo.duckdb",
        REFLEX_BACKEND_PORT=free_port(),
        REFLEX_FRONTEND_PORT=free_port(),
    )


@pytest.fixture
def busy_port() -> Iterator[int]:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        yield port


def test_free_ports_and_new_database_pass(settings: Settings) -> None:
    check_startup(DEFAULTS, settings)
    assert not settings.database.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"env": "dev"},
        {"env": "prod"},
        {"env": "prod", "backend_only": True},
        {"env": "dev", "backend_only": True},
    ],
)
def test_backend_port_of_the_command_line_is_checked(
    settings: Settings, busy_port: int, options: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError) as raised:
        check_startup({**DEFAULTS, **options, "backend_port": busy_port}, settings)
    assert f"Port {busy_port} is in use" in str(raised.value)
    assert "REFLEX_BACKEND_PORT" in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "options"),
    [
        ("REFLEX_FRONTEND_PORT", {"env": "dev"}),
        ("REFLEX_FRONTEND_PORT", {"env": "prod", "frontend_only": True}),
        ("REFLEX_BACKEND_PORT", {"env": "prod"}),
        ("REFLEX_BACKEND_PORT", {"env": "preview"}),
        ("REFLEX_BACKEND_PORT", {"env": "dev", "backend_only": True}),
    ],
)
def test_frontend_port_is_checked_where_it_is_used(
    settings: Settings, busy_port: int, variable: str, options: dict[str, Any]
) -> None:
    # The frontend port is checked first.
    with (
        socket.create_server(("127.0.0.1", settings.backend_port)),
        pytest.raises(SettingsError, match=variable),
    ):
        check_startup({**DEFAULTS, **options, "frontend_port": busy_port}, settings)


def test_shared_port_is_refused_in_development(settings: Settings) -> None:
    options = {**DEFAULTS, "frontend_port": settings.backend_port}
    with pytest.raises(SettingsError, match=f"cannot share port {settings.backend_port}"):
        check_startup(options, settings)


def test_unusable_database_is_refused_with_one_line(settings: Settings) -> None:
    settings.database.write_bytes(b"no database " * 1_000)
    with pytest.raises(SettingsError) as raised:
        check_startup(DEFAULTS, settings)
    assert str(settings.database) in str(raised.value)
    assert "\n" not in str(raised.value)
    check_startup({**DEFAULTS, "frontend_only": True}, settings)


def test_invalid_declared_source_is_refused_with_one_line(
    settings: Settings, tmp_path: Path
) -> None:
    config = tmp_path / "solo.toml"
    config.write_text('[sources.cpu]\nkind = "host"\ninterval = "often"\n')
    with pytest.raises(SettingsError) as raised:
        check_startup(DEFAULTS, settings.model_copy(update={"config": config}))
    assert str(raised.value).startswith(f"{config}: [sources.cpu] interval: Input should")
    assert "\n" not in str(raised.value)
    assert not settings.database.exists()


def test_default_config_that_cannot_be_read_is_reported(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    Path("solo.toml").symlink_to("a" * 300)
    with pytest.raises(SettingsError, match=r"^solo.toml: Cannot be read: File name too long\.$"):
        check_startup(DEFAULTS, settings)
