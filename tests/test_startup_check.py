"""The checks of ports and database before `reflex run` starts."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
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


@pytest.mark.parametrize("env", ["dev", "preview", "prod"])
def test_free_ports_and_new_database_pass(settings: Settings, env: str) -> None:
    check_startup({**DEFAULTS, "env": env}, settings)
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


@pytest.mark.parametrize("options", [{"env": "dev"}, {"env": "prod", "frontend_only": True}])
def test_frontend_port_is_checked_where_it_is_used(
    settings: Settings, busy_port: int, options: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match="REFLEX_FRONTEND_PORT"):
        check_startup({**DEFAULTS, **options, "frontend_port": busy_port}, settings)


@pytest.mark.parametrize("options", [{"env": "prod"}, {"env": "dev", "backend_only": True}])
def test_frontend_port_is_not_checked_without_a_frontend(
    settings: Settings, busy_port: int, options: dict[str, Any]
) -> None:
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


def check_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "solo_app", "check", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_command_reports_usable_database(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    report = check_command(str(database))
    expected = f"The database {database} does not exist yet and can be created.\n"
    assert (report.returncode, report.stdout, report.stderr) == (0, expected, "")
    duckdb.connect(database).close()
    report = check_command(SOLO_DATABASE=f" {database}\r")
    expected = f"The database {database} can be used.\n"
    assert (report.returncode, report.stdout, report.stderr) == (0, expected, "")


def test_check_command_reports_one_line_and_exit_code_1(tmp_path: Path) -> None:
    database = tmp_path / "solo.duckdb"
    with duckdb.connect(database):
        reports = [check_command(str(database)), check_command(SOLO_DATABASE=str(database))]
    for report in [*reports, check_command(SOLO_INTERVAL="soon"), check_command("one", "two")]:
        assert (report.returncode, report.stdout) == (1, "")
        assert len(report.stderr.splitlines()) == 1
    for report in reports:
        assert "in use by another process" in report.stderr
