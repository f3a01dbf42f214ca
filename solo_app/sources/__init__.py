"""The registry of sources. Each kind is one module; register a new one here.

The operator declares sources in ``solo.toml`` (``declared.py``). Third parties register kinds as
entry points of the group ``solo.sources``.
"""

from __future__ import annotations

import logging
from importlib.metadata import entry_points

from solo_app.batches.source import SourceKind
from solo_app.config import Settings
from solo_app.sources.command import COMMAND
from solo_app.sources.declared import read_declared_sources
from solo_app.sources.host import HOST
from solo_app.sources.http import HTTP
from solo_app.sources.mqtt import MQTT
from solo_app.sources.push import PUSH
from solo_app.sources.python import PYTHON
from solo_app.sources.random import random_kind
from solo_app.sources.replay import REPLAY

logger = logging.getLogger(__name__)


def create_sources(settings: Settings, is_startup_check: bool = False) -> dict[str, SourceKind]:
    """Return the source kinds and declared sources that batches can use, by name.

    Logs and skips entry points that cannot be loaded. Raises SettingsError for an invalid
    ``solo.toml``. ``is_startup_check``: see ``read_declared_sources``.
    """
    kinds = load_kinds(settings)
    declared = read_declared_sources(settings.config, kinds, is_startup_check)
    startable = [kind for kind in kinds.values() if not kind.is_declared_only]
    return {source.name: source for source in [*startable, *declared]}


def load_kinds(settings: Settings) -> dict[str, SourceKind]:
    """Return all source kinds by name, including those that can only be declared."""
    built_in = [random_kind(settings.interval), PUSH, HOST, HTTP, MQTT, COMMAND, REPLAY, PYTHON]
    kinds = {kind.name: kind for kind in built_in}
    for entry_point in entry_points(group="solo.sources"):
        try:
            kind = entry_point.load()
            if not isinstance(kind, SourceKind):
                raise TypeError(f"{kind!r} is not a SourceKind")
            if kind.name in kinds:
                raise ValueError(f'Source kind "{kind.name}" already exists')
        except Exception as error:
            logger.error('Source kind "%s" not loaded: %r', entry_point.name, error)
        else:
            kinds[kind.name] = kind
    return kinds
