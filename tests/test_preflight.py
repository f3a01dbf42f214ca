"""What is checked, and in which mode, before `reflex run` starts anything."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from solo_app import preflight
from solo_app.config import read_settings

RUN = ["reflex", "run"]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each look at the database whether the workers rely on it; nothing is done in truth."""
    made: list[bool] = []

    def look(_: object, for_workers: bool) -> SimpleNamespace:
        made.append(for_workers)
        return SimpleNamespace(wait=lambda: None)

    collector = SimpleNamespace(disable=lambda: None, isenabled=lambda: True)
    for name, instead in [("_Look", look), ("_heed_refusals", lambda: None), ("gc", collector)]:
        monkeypatch.setattr(preflight, name, instead)
    monkeypatch.setattr(preflight, "_check_port", lambda *_: None)
    for name, value in [("_checked", False), ("_loads", 0), ("_look", None)]:
        monkeypatch.setattr(preflight, name, value)
    for name in ("REFLEX_ENV_MODE", "REFLEX_BACKEND_ONLY", "REFLEX_FRONTEND_ONLY"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.mark.parametrize("before", [None, "prod", "dev"])
@pytest.mark.parametrize("mode", ["prod", "dev"])
def test_the_mode_is_that_of_the_options_whatever_the_environment_said_before(
    looks: list[bool], monkeypatch: pytest.MonkeyPatch, before: str | None, mode: str
) -> None:
    if before:
        monkeypatch.setenv("REFLEX_ENV_MODE", before)
    settings = read_settings()
    assert not preflight.check_before_run(RUN, settings)
    assert looks == []
    monkeypatch.setenv("REFLEX_ENV_MODE", mode)
    assert preflight.check_before_run(RUN, settings) == (mode == "prod")
    assert looks == [mode == "prod"]
    assert not preflight.check_before_run(RUN, settings)
    assert len(looks) == 1


def test_other_commands_and_a_server_without_pages_make_no_pages(
    looks: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings()
    monkeypatch.setenv("REFLEX_ENV_MODE", "prod")
    monkeypatch.setenv("REFLEX_BACKEND_ONLY", "true")
    for command in (["reflex", "export"], RUN, RUN):
        assert not preflight.check_before_run(command, settings)
    assert looks == [True]
