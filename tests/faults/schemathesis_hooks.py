"""Serializes generated request bodies for Schemathesis."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Write each element of an array on its own line, and any other value as an invalid line."""
    lines = value if isinstance(value, list) else [[value]]
    return "\n".join(map(json.dumps, lines)).encode()
