"""The registry of source kinds. Each kind is one module; register a new one here."""

from __future__ import annotations

from solo_app.batches.source import DEFAULT_SOURCE, Source
from solo_app.config import Settings
from solo_app.sources.random import random_numbers


def create_sources(settings: Settings) -> dict[str, Source]:
    """Return the available sources by name."""
    return {DEFAULT_SOURCE: random_numbers(settings.interval)}
