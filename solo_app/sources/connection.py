"""Connections to other systems: trusted certificates, and errors without parameters."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from functools import cache
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import AfterValidator

from solo_app.batches.errors import SourceError
from solo_app.sources.declared import DeclaredFile


def _check_ca_file(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise ValueError("Must contain certificates in PEM format") from None
    except OSError as error:
        raise ValueError(f"Cannot be read: {error.strerror}") from None
    return file


CaFile = Annotated[DeclaredFile, AfterValidator(_check_ca_file)]
"""A file with the certificates to trust."""


def create_ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies certificates and host names. Raises SourceError."""
    if ca_file is None:
        return _default_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise SourceError("The CA file cannot be loaded") from None


@cache
def _default_ssl_context() -> ssl.SSLContext:
    """Loading the certificates blocks the event loop for about 20 ms."""
    return httpx.create_ssl_context()


_NAME_MISMATCHES = (62, 64)
"""OpenSSL's codes for a wrong host name and IP address. Their texts contain the expected one."""


def describe_connect_error(error: BaseException) -> str:
    """Return the text of a failed connection, which contains neither names nor addresses."""
    return f"Cannot connect: {_reason(error)}"


def _reason(error: BaseException) -> str:
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
        return _reason(error.exceptions[0])
    cause = error.__cause__ or error.__context__  # Libraries raise their own errors.
    return _reason(cause) if cause else "Connection failed"


async def open_socket(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    """Return a connected socket that does not block. Raises OSError."""
    # Without `happy_eyeballs_delay`, whose cancellation leaves connections open in Python 3.11.
    _, writer = await asyncio.open_connection(host, port)
    connection: socket.socket = writer.get_extra_info("socket").dup()
    writer.transport.abort()  # Only closes its own socket.
    if tls is None:
        return connection
    try:
        # Takes the socket over, also if it fails.
        connection = tls.wrap_socket(
            connection, server_hostname=host, do_handshake_on_connect=False
        )
        await _shake_hands(connection)
    except BaseException:
        connection.close()
        raise
    return connection


async def _shake_hands(connection: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        try:
            return connection.do_handshake()
        except ssl.SSLWantReadError:
            add, remove = loop.add_reader, loop.remove_reader
        except ssl.SSLWantWriteError:
            add, remove = loop.add_writer, loop.remove_writer
        add(connection, ready.set)
        try:
            await ready.wait()
        finally:
            remove(connection)
