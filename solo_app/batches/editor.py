"""The editor: changes the labels of batches, and deletes batches."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from solo_app.batches.catalog import Catalog
from solo_app.batches.errors import (
    BatchNotEndedError,
    ServiceClosedError,
    StoreUnavailableError,
)
from solo_app.batches.labels import change_labels
from solo_app.batches.models import Batch
from solo_app.batches.runner import Runner
from solo_app.batches.storage import Storage

logger = logging.getLogger(__name__)


class BatchEditor:
    """Changes and deletes batches. Changes, deletions and starts are made one at a time."""

    def __init__(self, store: Storage, catalog: Catalog, runner: Runner) -> None:
        self._store = store
        self._catalog = catalog
        self._runner = runner
        self._has_deleted = asyncio.Event()

    async def change_labels(
        self, batch_id: str, unit: str | None, description: str | None
    ) -> Batch:
        # Shielded: a cancelled caller must not leave a change that is only in the store.
        work = self._change_labels(batch_id, unit, description)
        return await asyncio.shield(asyncio.create_task(work))

    async def _change_labels(
        self, batch_id: str, unit: str | None, description: str | None
    ) -> Batch:
        async with self._runner.changing:
            batch = self._catalog.get(batch_id)
            labels = change_labels(batch.labels, unit, description)
            if labels == batch.labels:
                return batch
            if self._runner.is_closing:
                raise ServiceClosedError
            await self._store.set_labels(batch.no, labels)
            # The run may have ended in the meantime.
            batch = replace(self._catalog.get(batch_id), labels=labels)
            self._catalog.upsert(batch)
            if producer := self._runner.find(batch.no):
                producer.batch = batch
            return batch

    async def delete(self, batch_id: str) -> None:
        # Shielded: a cancelled caller must not leave a deletion that is only in the store.
        await asyncio.shield(asyncio.create_task(self._delete(batch_id)))

    async def _delete(self, batch_id: str) -> None:
        async with self._runner.changing:
            batch = self._catalog.get(batch_id)
            if self._runner.find(batch.no):
                raise BatchNotEndedError(batch_id)
            if self._runner.is_closing:
                raise ServiceClosedError
            # Removed first: a batch in the catalog has all of its points.
            counter = self._catalog.remove(batch)
            try:
                await self._store.delete(batch.no)
            except Exception:
                self._catalog.upsert(batch)
                self._catalog.add_points(batch.no, counter)
                raise
            self._has_deleted.set()

    async def run(self) -> None:
        """Remove the points of deleted batches from the store, until cancelled."""
        while True:
            try:
                await self._store.remove_deleted_points()
            except StoreUnavailableError as error:
                logger.warning(
                    "Points of deleted batches still occupy space; the next deletion or start "
                    "removes them: %s",
                    error,
                )
            await self._has_deleted.wait()
            self._has_deleted.clear()
