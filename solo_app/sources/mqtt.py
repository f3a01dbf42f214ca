"""The source ``mqtt``: messages on a topic of an MQTT broker."""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import anyio
from jsonpointer import JsonPointer
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from solo_app.batches.errors import SourceError
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.connection import CaFile, create_ssl_context, describe_connect_error
from solo_app.sources.declared import Text
from solo_app.sources.pointer import Pointer, find_number

CONNECT_TIMEOUT = 10.0
MIN_RECONNECT_DELAY = 1.0
MAX_RECONNECT_DELAY = 30.0
KEEPALIVE_SECONDS = 30
MAX_MESSAGE_BYTES = 1024 * 1024

_MAX_MESSAGES = 100
"""Messages that are processed before other tasks run."""


def _check_host(host: str) -> str:
    with suppress(UnicodeError):
        if re.fullmatch(rb"(?i)[\w.-]+|[\da-f]*:[\da-f:.]*:[\da-f:.]*(%\w+)?", host.encode("idna")):
            return host
    raise ValueError("Must be a host name or an IP address")


def _check_topic(topic: str) -> str:
    if not re.fullmatch(r"(([^+#/]*|\+)/)*([^+#/]*|[+#])", topic):
        raise ValueError("Must be a topic such as home/+/power or home/#")
    return topic


class MqttParameters(Parameters):
    host: Annotated[str, AfterValidator(_check_host)] = Field(
        max_length=253, description="Name or address of the broker"
    )
    port: int = Field(1883, ge=1, le=65535, description="Usually 8883 with TLS")
    topic: Annotated[Text, AfterValidator(_check_topic)] = Field(
        min_length=1, max_length=1000, description="Such as home/power; + and # are wildcards"
    )
    pointer: Pointer = Field("", description="Such as /main/temp; empty: the whole message")
    tls: bool = Field(False, title="TLS", description="Encrypt and verify the connection")


class DeclaredMqttParameters(MqttParameters):
    username: Text | None = Field(None, max_length=1000)
    password: Text | None = Field(None, max_length=1000)
    ca_file: CaFile | None = None

    @field_validator("password", "ca_file")
    @classmethod
    def _check_requirement(cls, value: str | Path | None, info: ValidationInfo) -> Any:
        required = "username" if info.field_name == "password" else "tls"
        if value is not None and not info.data.get(required):
            raise ValueError(f"Requires `{required}`")
        return value


async def _numbers(parameters: MqttParameters, run: RunContext) -> AsyncIterator[Numbers]:
    """Yield the number in each message. Reconnects after a lost connection.

    Raises SourceError if the first connection fails, or the broker rejects the login or the topic.
    """
    declared = DeclaredMqttParameters.model_construct(**dict(parameters))
    pointer = JsonPointer(declared.pointer)
    delay = 0.0
    while True:
        connection = _Connection(declared)
        try:
            await connection.open()
            if delay:
                run.log("Reconnected.")
            delay = MIN_RECONNECT_DELAY
            while payloads := await connection.read():
                for payload in payloads:
                    if (number := _find_number(payload, pointer, run)) is not None:
                        yield number
            run.log("Connection lost. Reconnecting.")
        except OSError as error:  # Includes TimeoutError.
            if not delay:
                raise SourceError(f"Cannot connect: {describe_connect_error(error)}") from None
        finally:
            connection.close()
        await asyncio.sleep(delay)
        delay = min(2 * delay, MAX_RECONNECT_DELAY)


def _find_number(payload: bytes, pointer: JsonPointer, run: RunContext) -> float | None:
    try:
        if len(payload) > MAX_MESSAGE_BYTES:
            raise SourceError("Message is larger than 1 MiB")
        return find_number(payload, pointer, "Message")
    except SourceError as error:
        run.log(f"Skipped: {error}")
        return None


class _Connection:
    """A connection to a broker, through paho-mqtt's functions for event loops.

    While the caller processes messages, no others are read: the broker queues or discards them.
    paho-mqtt's own thread does not work in a process with more than 1,024 open files.
    """

    def __init__(self, parameters: DeclaredMqttParameters) -> None:
        self._parameters = parameters
        self._payloads: list[bytes] = []
        self._is_subscribed = False
        self._is_closed = False
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect_timeout = CONNECT_TIMEOUT
        self._client.username_pw_set(parameters.username, parameters.password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    async def open(self) -> None:
        """Connect and subscribe. Raises OSError or SourceError."""
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await asyncio.to_thread(self._connect)
            while not self._is_subscribed:
                if not self._client.socket():
                    raise ConnectionResetError(errno.ECONNRESET, "")
                await self._receive()

    def _connect(self) -> None:
        if self._parameters.tls:
            self._client.tls_set_context(create_ssl_context(self._parameters.ca_file))
        self._client.connect(self._parameters.host, self._parameters.port, KEEPALIVE_SECONDS)
        if self._is_closed:
            self._client.disconnect()

    def close(self) -> None:
        """Close the connection, or have the connecting thread close it."""
        self._is_closed = True
        self._client.disconnect()

    async def read(self) -> list[bytes]:
        """Return the next messages; none if the connection is lost."""
        while not self._payloads and self._client.socket():
            await self._receive()
        payloads, self._payloads = self._payloads, []
        return payloads

    async def _receive(self) -> None:
        """Wait up to a second for data and process it."""
        await self._wait_for_data()
        for _ in range(_MAX_MESSAGES):
            count = len(self._payloads)
            self._client.loop_read()
            if len(self._payloads) == count:
                break
        self._client.loop_write()
        self._client.loop_misc()

    async def _wait_for_data(self) -> None:
        connection = self._client.socket()
        assert connection
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            await asyncio.sleep(0)
            return
        with anyio.move_on_after(1):
            await anyio.wait_readable(connection)

    def _on_connect(self, *arguments: Any) -> None:
        reason: ReasonCode = arguments[3]
        if reason.is_failure:
            raise SourceError(f"The broker refused the connection: {reason}")
        self._client.subscribe(self._parameters.topic, qos=1)

    def _on_subscribe(self, *arguments: Any) -> None:
        reasons: list[ReasonCode] = arguments[3]
        if reasons[0].is_failure:
            raise SourceError("The broker refused the subscription")
        self._is_subscribed = True

    def _on_message(self, *arguments: Any) -> None:
        message: MQTTMessage = arguments[2]
        self._payloads.append(bytes(message.payload))


MQTT = SourceKind(
    "mqtt",
    "Messages on a topic of an MQTT broker.",
    MqttParameters,
    _numbers,
    declared_parameters=DeclaredMqttParameters,
)
