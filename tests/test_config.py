"""Settings: their defaults, their values, and the one line that refuses a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from solo_app.config import Settings, SettingsError, own_origins, read_settings

VARIABLES = [str(field.validation_alias) for field in Settings.model_fields.values()]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_everything_has_a_default() -> None:
    settings = read_settings()
    assert settings.database == Path(".solo/solo.duckdb")
    assert (settings.interval, settings.resume) == (0.25, False)
    assert settings.retention_days is None
    assert (settings.backend_port, settings.frontend_port) == (8000, 3000)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")
    assert read_settings() == Settings.model_construct()


def test_values_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOLO_DATABASE", str(tmp_path / "x.duckdb"))
    monkeypatch.setenv("SOLO_INTERVAL", "0")
    monkeypatch.setenv("SOLO_RESUME", "true")
    monkeypatch.setenv("SOLO_RETENTION_DAYS", "0.5")
    settings = read_settings()
    assert settings.database == tmp_path / "x.duckdb"
    assert (settings.interval, settings.resume) == (0, True)
    assert settings.retention_days == 0.5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SOLO_INTERVAL", "fast"),
        ("SOLO_INTERVAL", "-0.1"),
        ("SOLO_INTERVAL", "nan"),
        ("SOLO_INTERVAL", "inf"),
        ("SOLO_RESUME", "2"),
        ("SOLO_RETENTION_DAYS", "0"),
        ("SOLO_RETENTION_DAYS", "-1"),
        ("SOLO_RETENTION_DAYS", "nan"),
        ("SOLO_RETENTION_DAYS", "inf"),
        ("SOLO_RETENTION_DAYS", "40000"),
        ("SOLO_RETENTION_DAYS", "for ever"),
        ("SOLO_DATABASE", "/"),
        ("SOLO_DATABASE", "."),
        ("SOLO_DATABASE", ":memory:"),
        ("SOLO_DATABASE", "what?.duckdb"),
        ("SOLO_DATABASE", "x" * 400),
        ("SOLO_INTERVAL", "one\ntwo"),
        ("REFLEX_BACKEND_PORT", "0"),
        ("REFLEX_BACKEND_PORT", "70000"),
        ("REFLEX_FRONTEND_PORT", "x"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    line = str(refused.value)
    shown = " ".join(value.split())[:80]
    assert line.startswith(f"{variable}={shown} is not allowed: it must be ")
    assert "\n" not in line


def test_only_the_apps_own_origins_are_its_own() -> None:
    assert own_origins(read_settings()) == [
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
    ]
