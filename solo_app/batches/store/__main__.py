"""Tells whether a database file can be used: nothing when it can, else one line and exit code 1."""

import sys
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.store.check import check

try:
    check(Path(sys.argv[1]))
except StoreUnavailableError as unavailable:
    sys.exit(str(unavailable))
