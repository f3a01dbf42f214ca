"""What a run is doing, told on stderr while it goes on."""

from __future__ import annotations

import sys
import time

_began = time.monotonic()


def say(text: str) -> None:
    """One line with the seconds since the run began."""
    sys.stderr.write(f"[{time.monotonic() - _began:6.1f} s] {text}\n")
    sys.stderr.flush()
