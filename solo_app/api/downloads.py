"""Responses that browsers save as files: the points of a batch, and the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.responses import StreamingResponse

from solo_app.batches.models import Download, FileFormat

_MEDIA_TYPES = {
    FileFormat.CSV: "text/csv",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
    FileFormat.JSON: "application/json",
}
_BACKUP_MEDIA_TYPE = "application/octet-stream"
_BINARY_CONTENT = {"schema": {"type": "string", "format": "binary"}}
_POINT_SCHEMA = {
    "type": "object",
    "properties": {
        "seq": {"type": "integer"},
        "ts": {"type": "string", "format": "date-time"},
        "data": {
            "type": "object",
            "properties": {"key": {"type": "number"}, "unit": {"type": "string"}},
            "required": ["key"],
        },
    },
    "required": ["seq", "ts", "data"],
}
_HEADERS = {"Content-Disposition": {"schema": {"type": "string"}}}

POINTS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The points as a file, in order of seq",
        "content": {
            _MEDIA_TYPES[FileFormat.CSV]: {"schema": {"type": "string"}},
            _MEDIA_TYPES[FileFormat.PARQUET]: _BINARY_CONTENT,
            _MEDIA_TYPES[FileFormat.JSON]: {"schema": {"type": "array", "items": _POINT_SCHEMA}},
        },
        "headers": _HEADERS,
    }
}
BACKUP_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A DuckDB file",
        "content": {_BACKUP_MEDIA_TYPE: _BINARY_CONTENT},
        "headers": _HEADERS,
    }
}


def points_response(
    download: Download | None, batch_id: str, file_format: FileFormat, now: datetime
) -> StreamingResponse:
    """Return the points of a batch as a file. See ``backup_response`` for the parameters."""
    # The characters of a batch_id are safe in file names and headers.
    return _file_response(download, batch_id, now, file_format, _MEDIA_TYPES[file_format])


def backup_response(download: Download | None, now: datetime) -> StreamingResponse:
    """Return the database as a file; ``now`` (naive UTC) is part of its name.

    Without a download, the body is empty.
    """
    return _file_response(download, "solo", now, "duckdb", _BACKUP_MEDIA_TYPE)


def _file_response(
    download: Download | None, name: str, now: datetime, extension: str, media_type: str
) -> StreamingResponse:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-{now:%Y%m%dT%H%M%SZ}.{extension}"',
        # In development the pages have a different origin and need permission to read the name.
        "Access-Control-Expose-Headers": "Content-Disposition",
    }
    if download and download.size is not None:
        headers["Content-Length"] = str(download.size)
    chunks = download.chunks if download else ()
    return StreamingResponse(chunks, headers=headers, media_type=media_type)
