"""Numbers in JSON documents, located by JSON Pointers (RFC 6901)."""

from __future__ import annotations

import json
import math
from typing import Annotated

from jsonpointer import EndOfList, JsonPointer, JsonPointerException
from pydantic import AfterValidator, Field

from solo_app.batches.errors import SourceError


def _check_pointer(pointer: str) -> str:
    try:
        JsonPointer(pointer)
    except JsonPointerException:
        raise ValueError("Must be a JSON Pointer such as /main/temp, or empty") from None
    return pointer


Pointer = Annotated[
    str, Field(max_length=200, title="JSON Pointer"), AfterValidator(_check_pointer)
]
"""A JSON Pointer as a parameter. An empty one refers to the whole document."""

_DECODER = json.JSONDecoder(parse_int=float)  # Integers of any length; large ones become infinite.

_TYPE_NAMES = {dict: "an object", list: "an array", str: "text", bool: "a boolean"}


def find_number(document: bytes, pointer: JsonPointer, name: str) -> float:
    """Return the number at a pointer in a JSON document.

    Raises SourceError, whose message contains the name of the document, such as "Response", but
    neither the pointer nor parts of the document.
    """
    found = "The value at the pointer" if pointer.path else name
    try:
        value = pointer.resolve(_DECODER.decode(document.decode("utf-8-sig")))
    except (ValueError, RecursionError):
        raise SourceError(f"{name} is not JSON") from None
    except JsonPointerException:
        raise SourceError(f"The pointer matches nothing in the {name.lower()}") from None
    if isinstance(value, EndOfList):  # The element after the last one: `/a/-`.
        raise SourceError(f"The pointer matches nothing in the {name.lower()}")
    if not isinstance(value, float):
        raise SourceError(f"{found} is {_TYPE_NAMES.get(type(value), 'null')}, not a number")
    if not math.isfinite(value):
        raise SourceError(f"{found} is not a finite number")
    return value
