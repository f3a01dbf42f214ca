"""The source ``mqtt``: messages on a topic of an MQTT broker."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiomqtt
from jsonpointer import JsonPointer
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from solo_app.batches.errors import SourceError
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.connection import (
    CaFile,
    create_ssl_context,
    describe_connect_error,
    open_socket,
)
from solo_app.sources.pointer import Pointer, find_number

CONNECT_TIMEOUT = 10.0
MIN_RECONNECT_DELAY = 1.0
MAX_RECONNECT_DELAY = 30.0
KEEPALIVE_SECONDS = 30
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_QUEUED_BYTES = 4 * MAX_MESSAGE_BYTES

_MESSAGE_OVERHEAD = 1024
"""Approximate size of a queued message without its payload, in bytes."""

_MAX_MESSAGES = 100
"""Messages that are processed before other tasks run."""

_no_logger = logging.Logger("mqtt")
_no_logger.disabled = True  # The texts of the libraries contain topics.


def _check_host(host: str) -> str:
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("Must be a host name or an IP address") from None
    if not re.fullmatch(r"[\w.:%-]+", host):
        raise ValueError("Must be a host name or an IP address")
    return host


def _check_topic(topic: str) -> str:
    try:
        aiomqtt.Wildcard(topic)
    except ValueError:
        raise ValueError("Must be a topic such as home/+/power or home/#") from None
    return _check_text(topic)


def _check_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("Must not contain a null character")
    return text


class MqttParameters(Parameters):
    host: Annotated[str, AfterValidator(_check_host)] = Field(
        max_length=253, title="Host", description="Name or address of the broker"
    )
    port: int = Field(1883, ge=1, le=65535, title="Port", description="With TLS usually 8883")
    topic: Annotated[str, AfterValidator(_check_topic)] = Field(
        max_length=1000, title="Topic", description="Such as home/power; + and # are wildcards"
    )
    pointer: Pointer = Field(
        "",
        max_length=200,
        title="JSON Pointer",
        description="Such as /main/temp; empty: the whole message",
    )
    tls: bool = Field(False, title="TLS", description="Encrypt and verify the connection")


class DeclaredMqttParameters(MqttParameters):
    username: Annotated[str, AfterValidator(_check_text)] | None = Field(None, max_length=1000)
    password: Annotated[str, AfterValidator(_check_text)] | None = Field(None, max_length=1000)
    ca_file: CaFile | None = None

    @field_validator("password")
    @classmethod
    def _check_password(cls, password: str | None, info: ValidationInfo) -> str | None:
        if password is not None and info.data.get("username") is None:
            raise ValueError("Requires `username`")
        return password

    @field_validator("ca_file")
    @classmethod
    def _check_ca_file(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and not info.data.get("tls"):
            raise ValueError("Requires `tls = true`")
        return file


async def _numbers(parameters: MqttParameters, run: RunContext) -> AsyncIterator[Numbers]:
    """Yield the number in each message. Lost connections are opened again.

    Raises SourceError if the first connection fails, or the broker or its certificate is refused.
    """
    declared = DeclaredMqttParameters.model_construct(**dict(parameters))
    pointer = JsonPointer(declared.pointer)
    delay = 0.0
    while True:
        try:
            async with _subscribe(declared) as client:
                if delay:
                    run.log("Connected again.")
                delay = delay or MIN_RECONNECT_DELAY
                while True:
                    messages = await client.read()
                    if discarded := client.discarded:
                        run.log(f"{discarded} messages discarded: they arrived too fast.")
                    delay = MIN_RECONNECT_DELAY
                    for message in messages:
                        if (number := _find_number(message, pointer, run)) is not None:
                            yield number
        except aiomqtt.MqttError:
            run.log("Connection lost. Reconnecting.")
        except OSError as error:  # Includes TimeoutError.
            if not delay:
                raise SourceError(describe_connect_error(error)) from None
        await asyncio.sleep(delay)
        delay = min(2 * delay, MAX_RECONNECT_DELAY)


def _find_number(message: aiomqtt.Message, pointer: JsonPointer, run: RunContext) -> float | None:
    try:
        if len(message.payload) > MAX_MESSAGE_BYTES:
            raise SourceError("Message is larger than 1 MiB")
        return find_number(message.payload, pointer, "Message")
    except SourceError as error:
        run.log(str(error))
        return None


@asynccontextmanager
async def _subscribe(parameters: DeclaredMqttParameters) -> AsyncIterator[_Client]:
    """Connect and subscribe. Raises OSError or SourceError."""
    tls = create_ssl_context(parameters.ca_file) if parameters.tls else None
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            connection = await open_socket(parameters.host, parameters.port, tls)
            client = _Client(parameters, stack.enter_context(connection))
            stack.push_async_callback(client.close)
            await client.connect()
            await client.subscribe_to_topic()
        yield client


class _Inbox(asyncio.Queue[aiomqtt.Message]):
    """Limits the memory of received messages. ``discarded`` counts those that were in excess."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.discarded = 0
        self._size = 0

    def full(self) -> bool:
        return self._size >= MAX_QUEUED_BYTES

    def put_nowait(self, message: aiomqtt.Message) -> None:
        try:
            super().put_nowait(message)
            self._size += _size(message)
        except asyncio.QueueFull:
            self.discarded += 1

    def get_nowait(self) -> aiomqtt.Message:
        message = super().get_nowait()
        self._size -= _size(message)
        return message


class _Client(aiomqtt.Client):
    """A client on an open connection.

    aiomqtt connects in a thread, which cannot be cancelled, and does not close a connection whose
    broker does not respond.
    """

    _queue: _Inbox

    def __init__(self, parameters: DeclaredMqttParameters, connection: socket.socket) -> None:
        super().__init__(
            parameters.host,
            parameters.port,
            username=parameters.username,
            password=parameters.password,
            keepalive=KEEPALIVE_SECONDS,
            queue_type=_Inbox,
            logger=_no_logger,
        )
        self._topic = parameters.topic
        self._connection = connection
        # Private, like all of paho-mqtt's functions for sockets.
        self._client._create_socket = lambda: connection  # type: ignore  # noqa: SLF001

    @property
    def discarded(self) -> int:
        """The number of messages that were discarded since the last call."""
        count, self._queue.discarded = self._queue.discarded, 0
        return count

    async def connect(self) -> None:
        self._client_connect()
        try:
            await self._connected
        except aiomqtt.MqttCodeError as error:
            raise SourceError(f"The broker refused the connection: {error.rc}") from None

    def _on_disconnect(self, *arguments: Any) -> None:
        if not self._connected.done():
            self._connected.set_exception(ConnectionResetError(errno.ECONNRESET, ""))
        super()._on_disconnect(*arguments)

    async def subscribe_to_topic(self) -> None:
        try:
            codes = await self.subscribe(self._topic, qos=1, timeout=math.inf)
        except aiomqtt.MqttError:
            raise ConnectionResetError(errno.ECONNRESET, "") from None
        if any(isinstance(code, ReasonCode) and code.is_failure for code in codes):
            raise SourceError("The broker refused the subscription")

    async def read(self) -> list[aiomqtt.Message]:
        """Wait for messages and return all that are queued, up to a limit.

        aiomqtt receives several messages in the time in which it returns one.
        """
        messages = [await anext(self.messages)]
        while len(messages) < _MAX_MESSAGES and not self._queue.empty():
            messages.append(self._queue.get_nowait())
        return messages

    async def close(self) -> None:
        """Close the connection. Its callbacks are called first."""
        if self._connection.fileno() != -1:
            self._loop.remove_reader(self._connection)
        try:
            await asyncio.sleep(0)
        finally:
            self._client._sock_close()  # noqa: SLF001
            if self._disconnected.done():
                self._disconnected.exception()  # Otherwise asyncio logs it.


def _size(message: aiomqtt.Message) -> int:
    return len(message.payload) + _MESSAGE_OVERHEAD


MQTT = SourceKind(
    "mqtt",
    "Messages on a topic of an MQTT broker.",
    MqttParameters,
    _numbers,
    declared_parameters=DeclaredMqttParameters,
)
