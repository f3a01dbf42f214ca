"""Tells whether a database file can be used: nothing when it can, else one line and exit code 1.

``python -m solo_app.storage.duckdb repair FILE`` goes on with what is whole of a damaged one.
"""

import sys
from pathlib import Path

from solo_app.batches.errors import StoreUnavailableError
from solo_app.storage.duckdb.check import check

try:
    match sys.argv[1:]:
        case ["repair", file]:
            # Every start of the app waits for a look; what only a repair needs takes long to load.
            from solo_app.batches.model import utc_now
            from solo_app.storage.duckdb.repair import repair

            sys.stdout.write(repair(Path(file), utc_now()) + "\n")
        case [file] if file != "repair":
            check(Path(file))
        case _:
            sys.exit("Usage: python -m solo_app.storage.duckdb [repair] FILE")
except StoreUnavailableError as unavailable:
    sys.exit(str(unavailable))
