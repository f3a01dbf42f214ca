"""Settings: defaults, values, and the error message for an invalid value."""

from __future__ import annotations

from pathlib import Path

import pytest

from solo_app.config import Settings, SettingsError, allowed_origins, read_settings

VARIABLES = [str(field.validation_alias) for field in Settings.model_fields.values()]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_every_setting_has_a_default() -> None:
    settings = read_settings()
    assert settings.database == Path(".solo/solo.duckdb")
    assert (settings.interval, settings.resume) == (0.25, False)
    assert settings.retention_days is None
    assert settings.config == Path("solo.toml")
    assert (settings.backend_port, settings.frontend_port) == (8000, 3000)


@pytest.mark.parametrize("empty", ["", " ", "\t\r\n"])
def test_empty_value_means_unset(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, empty)
    assert read_settings() == Settings.model_construct()


VALID = {
    "SOLO_DATABASE": "folder/my points.duckdb",
    "SOLO_INTERVAL": "2",
    "SOLO_RESUME": "true",
    "SOLO_RETENTION_DAYS": "7",
    "SOLO_CONFIG": __file__,
    "REFLEX_BACKEND_PORT": "8001",
    "REFLEX_FRONTEND_PORT": "3001",
}


@pytest.mark.parametrize(("before", "after"), [("", "\r"), (" \t", " "), ("\n", "\r\n")])
def test_surrounding_whitespace_is_stripped(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, VALID[variable])
    expected = read_settings()
    for variable in VARIABLES:
        monkeypatch.setenv(variable, before + VALID[variable] + after)
    assert read_settings() == expected


def test_tilde_in_database_path_is_expanded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SOLO_DATABASE", "~/data/solo.duckdb")
    assert read_settings().database == tmp_path / "data" / "solo.duckdb"


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
        ("SOLO_DATABASE", ":memory:solo"),
        ("SOLO_DATABASE", "what?.duckdb"),
        ("SOLO_DATABASE", "~nobody-of-this-name/x.duckdb"),
        ("SOLO_DATABASE", "x" * 400),
        ("SOLO_CONFIG", "missing.toml"),
        ("SOLO_CONFIG", "."),
        ("SOLO_CONFIG", "~nobody-of-this-name/solo.toml"),
        ("SOLO_CONFIG", "x" * 400),
        ("REFLEX_BACKEND_PORT", "0"),
        ("REFLEX_BACKEND_PORT", "70000"),
        ("REFLEX_FRONTEND_PORT", "x"),
    ],
)
def test_error_names_variable_value_and_allowed_values(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    line = str(raised.value)
    assert line.startswith(f"{variable}={value[:80]} is not allowed: it must be ")
    assert "\n" not in line


@pytest.mark.parametrize("value", ["one\ntwo", "tr\rue", "1\x07"])
def test_unprintable_value_is_shown_escaped(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for variable in set(VARIABLES) - {"SOLO_DATABASE"}:
        with monkeypatch.context() as environment:
            environment.setenv(variable, value)
            with pytest.raises(SettingsError) as raised:
                read_settings()
        assert str(raised.value).startswith(f"{variable}={value!r} is not allowed: it must be ")


def test_own_origins_are_localhost_on_both_ports() -> None:
    assert allowed_origins(read_settings()) == [
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
    ]
