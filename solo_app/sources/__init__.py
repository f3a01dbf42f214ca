"""The registry of source kinds. Each kind is one module; register a new one here."""

from __future__ import annotations

from solo_app.batches.source import SourceKind
from solo_app.config import Settings
from solo_app.sources.random import random_kind


def create_sources(settings: Settings) -> dict[str, SourceKind]:
    """Return the available source kinds by name."""
    kinds = [random_kind(settings.interval)]
    return {kind.name: kind for kind in kinds}
