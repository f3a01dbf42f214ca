"""Valid and invalid batch ids."""

VALID_IDS = ["a", "A", "0", "a.b", "v1.2.js", "a-_.", "a" * 64]

INVALID_IDS = [
    "",
    ".",
    "..",
    "-a",
    "_a",
    "a b",
    " a",
    "a/b",
    "a\\b",
    "a\nb",
    "a\x00",
    "a'b",
    'a"b',
    "<b>",
    "a;DROP TABLE points",
    "ä",
    "١",
    "a" * 65,
    "a\n",
]
