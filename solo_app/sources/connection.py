"""Connections to other systems: trusted certificates, and errors without parameters."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import AfterValidator

from solo_app.batches.errors import SourceError
from solo_app.sources.declared import DeclaredFile


def create_ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies certificates and host names. Raises SourceError.

    Call this in a thread: loading the certificates takes about 20 ms.
    """
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()
    except OSError:  # Includes SSLError.
        raise SourceError("The CA file cannot be loaded") from None


def _check_ca_file(file: Path) -> Path:
    try:
        create_ssl_context(file)
    except SourceError:
        raise ValueError("Must be a readable file with certificates in PEM format") from None
    return file


CaFile = Annotated[DeclaredFile, AfterValidator(_check_ca_file)]
"""A file with the certificates to trust."""


_NAME_MISMATCHES = (62, 64)
"""OpenSSL's codes for a wrong host name or address. Their messages contain the expected name."""


def describe_connect_error(error: BaseException) -> str:
    """Return the reason for a failed connection, without host names and addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        is_mismatch = error.verify_code in _NAME_MISMATCHES
        return "The certificate is for another host" if is_mismatch else error.verify_message
    if isinstance(error, ssl.SSLError):
        return "TLS handshake failed"
    if isinstance(error, socket.gaierror):
        return "Host name not found"
    if isinstance(error, TimeoutError):
        return "Timed out"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, BaseExceptionGroup):  # One error for each address of the host.
        return describe_connect_error(error.exceptions[0])
    cause = error.__cause__ or error.__context__  # Libraries raise their own errors.
    return describe_connect_error(cause) if cause else "Connection failed"
