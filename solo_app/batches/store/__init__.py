"""The store: the only code that knows DuckDB."""

from solo_app.batches.store.columns import Block
from solo_app.batches.store.database import Store

__all__ = ["Block", "Store"]
