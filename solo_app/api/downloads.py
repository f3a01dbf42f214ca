"""Points, or the database, as a file to keep: its name, its kind, its pieces as they are made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.responses import Response, StreamingResponse

from solo_app.batches.model import Download, FileFormat

_MEDIA_TYPES = {
    FileFormat.CSV: "text/csv",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
    FileFormat.JSON: "application/json",
}

_BACKUP_TYPE = "application/octet-stream"

ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The points as a file, in order of seq",
        "content": {
            _MEDIA_TYPES[FileFormat.CSV]: {"schema": {"type": "string"}},
            _MEDIA_TYPES[FileFormat.PARQUET]: {"schema": {"type": "string", "format": "binary"}},
            _MEDIA_TYPES[FileFormat.JSON]: {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/PointValue"}}
            },
        },
        "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
    }
}
"""What a download is described as in OpenAPI."""


BACKUP: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A DuckDB file",
        "content": {_BACKUP_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
    }
}
"""What a backup is described as in OpenAPI."""


def file_of(download: Download, batch_id: str, file_format: FileFormat, now: datetime) -> Response:
    """The answer that a browser saves; ``now`` (naive UTC) becomes a part of the file's name."""
    # A batch_id has no character that a file name or a header could trip over.
    return _file(download, f"{batch_id}-{_stamp(now)}.{file_format}", _MEDIA_TYPES[file_format])


def backup_of(download: Download, now: datetime) -> Response:
    """The answer with a whole database; ``now`` (naive UTC) becomes a part of the file's name."""
    return _file(download, f"solo-{_stamp(now)}.duckdb", _BACKUP_TYPE)


def _stamp(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}"


def _file(download: Download, name: str, media_type: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        # In development the pages have another origin, and may still read the name.
        "Access-Control-Expose-Headers": "Content-Disposition",
        "Cache-Control": "no-store",
    }
    if download.size is not None:
        headers["Content-Length"] = str(download.size)
    return StreamingResponse(download.pieces, headers=headers, media_type=media_type)
