"""Valid and invalid units and descriptions."""

from __future__ import annotations

import pytest

from solo_app.batches.errors import InvalidConfigurationError
from solo_app.batches.labels import (
    MAX_DESCRIPTION_LENGTH,
    MAX_UNIT_LENGTH,
    change_labels,
)
from solo_app.batches.models import Labels

LABELS = Labels("mm", "Rod")

CONTROL_CHARACTERS = ["\n", "\r", "\t", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\ud800"]


@pytest.mark.parametrize(
    "text", ["°C", "µg/m³", "21\u00a0%", "😀", "👩\u200d🔬", 'a,"b"', "\U0004e351"]
)
def test_any_text_without_control_characters_is_accepted(text: str) -> None:
    assert change_labels(LABELS, text, text) == Labels(text, text)


@pytest.mark.parametrize("text", ["{}", "a{}b", "a{}"])
def test_control_characters_are_refused(text: str) -> None:
    for character in CONTROL_CHARACTERS:
        label = text.format(character)
        with pytest.raises(InvalidConfigurationError) as error:
            change_labels(LABELS, label, label)
        assert set(error.value.errors) == {"unit", "description"}, repr(character)


def test_length_is_limited() -> None:
    assert change_labels(LABELS, "°" * MAX_UNIT_LENGTH, None).unit == "°" * MAX_UNIT_LENGTH
    longest = "x" * MAX_DESCRIPTION_LENGTH
    assert change_labels(LABELS, None, longest) == Labels("mm", longest)
    with pytest.raises(InvalidConfigurationError, match="unit: Must have at most 16 characters"):
        change_labels(LABELS, "x" * MAX_UNIT_LENGTH + " ", None)
    with pytest.raises(InvalidConfigurationError, match="at most 200 characters"):
        change_labels(LABELS, None, longest + "x")


def test_surrounding_spaces_are_stripped() -> None:
    assert change_labels(LABELS, " °C ", "  ") == Labels("°C", "")
