"""The machine and the versions that figures belong to."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.helpers.running_app import PROJECT

_PACKAGES = ("reflex", "duckdb", "granian", "fastapi", "numpy", "uvicorn")


def described() -> list[tuple[str, str]]:
    """What the machine is and what runs on it, as pairs of a name and what it is."""
    memory = psutil.virtual_memory().total / 2**30
    return [
        ("processor", f"{_processor()}, {psutil.cpu_count()} cores"),
        ("memory", f"{memory:.0f} GiB"),
        ("disk", _disk()),
        ("system", f"{platform.system()} {platform.release().partition('-')[0]}"),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in _PACKAGES),
        ("commit", _commit()),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _disk() -> str:
    free = shutil.disk_usage(PROJECT).free / 2**30
    mounts = [m for m in psutil.disk_partitions(all=True) if PROJECT.is_relative_to(m.mountpoint)]
    kind = max(mounts, key=lambda m: len(m.mountpoint)).fstype if mounts else "unknown"
    return f"{kind}, {free:.0f} GiB free"


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"
