"""A small disk that tests can fill."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SmallDisk:
    """A tmpfs mounted at ``path``. Sizes are in MB."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        path.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(path))

    def grow(self, size: int) -> None:
        _mount("-o", f"remount,size={size}m", str(self.path))

    @contextmanager
    def filled_up_to(self, free: int) -> Iterator[None]:
        """Leave at most ``free`` bytes within the block."""
        ballast = self.path / "ballast"
        while not self._fill(ballast, free):
            pass  # The app may have used some of the free space.
        try:
            yield
        finally:
            ballast.unlink()

    def _fill(self, ballast: Path, free: int) -> bool:
        with ballast.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.path).free - free)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return False
        return True

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
