"""The table ``receipts``: the results of pushes with an idempotency key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from solo_app.batches.models import Block, IdempotencyKey, Receipt

_INSERT = """
INSERT INTO receipts
SELECT unnest($batch_no), unnest($key), unnest($body_hash), unnest($created_at),
    unnest($first_seq), unnest($last_seq)
"""

# No index: it would have to fit into memory. The query reads only the columns of the filter.
_SELECT = """
SELECT body_hash, created_at, first_seq, last_seq FROM receipts
WHERE batch_no = ? AND key = ? AND created_at > ?
"""


def add(cursor: duckdb.DuckDBPyConnection, blocks: Sequence[Block]) -> None:
    """Insert the receipts of blocks."""
    rows = [(block.batch_no, receipt) for block in blocks for receipt in block.receipts]
    cursor.execute(
        _INSERT,
        {
            "batch_no": [batch_no for batch_no, _ in rows],
            "key": [receipt.key.key for _, receipt in rows],
            "body_hash": [receipt.key.body_hash for _, receipt in rows],
            "created_at": [receipt.created_at for _, receipt in rows],
            "first_seq": [receipt.first_seq for _, receipt in rows],
            "last_seq": [receipt.last_seq for _, receipt in rows],
        },
    )


def delete(cursor: duckdb.DuckDBPyConnection, before: datetime) -> None:
    """Delete the receipts that were created before a time."""
    cursor.execute("DELETE FROM receipts WHERE created_at < ?", [before])


def find(
    cursor: duckdb.DuckDBPyConnection, batch_no: int, key: str, since: datetime
) -> Receipt | None:
    """See ``Storage.receipt``."""
    rows = cursor.execute(_SELECT, [batch_no, key, since]).fetchall()
    if not rows:
        return None
    body_hash, created_at, first_seq, last_seq = rows[-1]
    return Receipt(IdempotencyKey(key, body_hash), created_at, first_seq, last_seq)
