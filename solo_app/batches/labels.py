"""Validation of the unit and the description of a batch."""

from __future__ import annotations

import re

from solo_app.batches.errors import InvalidConfigurationError
from solo_app.batches.models import Labels

MAX_UNIT_LENGTH = 16
MAX_DESCRIPTION_LENGTH = 200

LABEL_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
"""A valid label, as an ECMA-262 regular expression: no line breaks, control characters, or
characters that change the direction of text."""

_LABEL = re.compile(LABEL_PATTERN)
_SURROGATE = re.compile("[\ud800-\udfff]")


def change_labels(labels: Labels, unit: str | None, description: str | None) -> Labels:
    """Return the labels with a new unit and description; None means unchanged.

    Strips spaces. Raises InvalidConfigurationError for long texts and control characters.
    """
    errors: dict[str, str] = {}
    texts = {}
    for field, text, previous, limit in (
        ("unit", unit, labels.unit, MAX_UNIT_LENGTH),
        ("description", description, labels.description, MAX_DESCRIPTION_LENGTH),
    ):
        texts[field] = text = previous if text is None else text
        if len(text) > limit:
            errors[field] = f"Must have at most {limit} characters"
        elif not _LABEL.fullmatch(text) or _SURROGATE.search(text):
            errors[field] = "Must not contain line breaks or control characters"
    if errors:
        raise InvalidConfigurationError(errors)
    return Labels(texts["unit"].strip(), texts["description"].strip())
