"""Room on the disk for what is written beside the points, so that these never wait for it."""

from __future__ import annotations

import shutil
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError


def check_room(folder: Path, needed: int) -> None:
    """See that a file of so many bytes leaves as much again for the points that come meanwhile.

    Raises StoreUnavailableError, OSError.
    """
    free = shutil.disk_usage(folder).free
    if free < 2 * needed:
        raise StoreUnavailableError(
            f"There is not room enough in {folder}: {2 * needed} bytes are needed and {free} free."
        )
