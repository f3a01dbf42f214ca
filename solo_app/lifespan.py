"""Opens the service on startup, and closes it within a time limit on shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NoReturn

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import utc_now
from solo_app.batches.retention import Retention
from solo_app.batches.service import BatchService
from solo_app.batches.source import SourceKind
from solo_app.config import Settings
from solo_app.main_process import exit_with_error, terminate_after
from solo_app.watchdog import watch_loop
from solo_app.worker_process import end_on_sigterm, raise_limits, shutdown_on_signal

logger = logging.getLogger(__name__)


@asynccontextmanager
async def running_service(
    settings: Settings, sources: Mapping[str, SourceKind]
) -> AsyncIterator[BatchService]:
    """Open the service, and close it on exit. A failed start or a signal ends the process."""
    end_on_sigterm()
    terminate_after(os.getppid())
    # A top-level import makes the main process in production print leaked objects at exit.
    from solo_app.storage.duckdb.store import DuckDBStore

    raise_limits()
    store = DuckDBStore(settings.database)
    days = settings.retention_days
    retention = None if days is None else Retention(store, timedelta(days=days), utc_now)
    service = BatchService(store, sources, retention=retention)
    try:
        await service.open(resume=settings.resume)
    except Exception as error:
        _exit_with_error(error, settings)
    archiving = asyncio.create_task(retention.run(), name="retention") if retention else None
    try:
        with shutdown_on_signal(service), watch_loop():
            yield service
    finally:
        if archiving:
            archiving.cancel()
        if not await service.close():
            os._exit(0)  # The interpreter would wait for running threads.


def _exit_with_error(error: Exception, settings: Settings) -> NoReturn:
    """Exit with one line. An exception would only stop the server, or restart it forever."""
    logger.debug("Service did not open", exc_info=error)
    message = str(error)
    if not isinstance(error, StoreUnavailableError):
        text = " ".join(f"{type(error).__name__}: {error}".split())
        message = (
            f"The database {settings.database} cannot be read ({text}). "
            "Restore a backup, or choose another file with SOLO_DATABASE."
        )
    exit_with_error(message)
