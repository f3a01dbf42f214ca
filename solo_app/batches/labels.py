"""Validation of the unit and the description of a batch."""

from __future__ import annotations

from solo_app.batches.errors import InvalidConfigurationError
from solo_app.batches.models import Labels

MAX_UNIT_LENGTH = 16
MAX_DESCRIPTION_LENGTH = 200


def change_labels(labels: Labels, unit: str | None, description: str | None) -> Labels:
    """Return the labels with a new unit and description; None means unchanged.

    Strips whitespace. Raises InvalidConfigurationError for long texts and control characters.
    """
    errors: dict[str, str] = {}
    texts = {}
    for field, text, previous, limit in (
        ("unit", unit, labels.unit, MAX_UNIT_LENGTH),
        ("description", description, labels.description, MAX_DESCRIPTION_LENGTH),
    ):
        texts[field] = previous if text is None else text.strip()
        if len(texts[field]) > limit:
            errors[field] = f"Must have at most {limit} characters"
        elif not texts[field].isprintable():
            errors[field] = "Must not contain line breaks or control characters"
    if errors:
        raise InvalidConfigurationError(errors)
    return Labels(**texts)
