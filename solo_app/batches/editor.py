"""The editor: changes the labels of batches."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from solo_app.batches.catalog import Catalog
from solo_app.batches.errors import ServiceClosedError
from solo_app.batches.labels import change_labels
from solo_app.batches.models import Batch
from solo_app.batches.runner import Runner
from solo_app.batches.storage import Storage


class BatchEditor:
    """Changes batches in the store, then in memory. Changes and starts are made one at a time."""

    def __init__(self, store: Storage, catalog: Catalog, runner: Runner) -> None:
        self._store = store
        self._catalog = catalog
        self._runner = runner

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
