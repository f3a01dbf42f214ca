"""Serializes generated request bodies for Schemathesis."""

from __future__ import annotations

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(_: object, value: object) -> str:
    """Write each element of an array to a line. Anything else remains invalid."""
    lines = value if isinstance(value, list) else [[value]]
    return "\n".join(map(json.dumps, lines))
