"""Checks whether a database file can be used: one line and exit code 1 if it cannot."""

import sys
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb.check import check

if len(sys.argv) != 2:
    sys.exit("Usage: python -m solo_app.storage.duckdb FILE")
try:
    check(Path(sys.argv[1]))
except StoreUnavailableError as unavailable:
    sys.exit(str(unavailable))
