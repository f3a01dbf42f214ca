"""A real MQTT broker on loopback: mosquitto."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

EXECUTABLE = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

needs_mosquitto = pytest.mark.skipif(EXECUTABLE is None, reason="needs mosquitto")


class Broker:
    """A broker on a free port. ``config`` has lines for mosquitto's configuration."""

    def __init__(self, folder: Path, *config: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port: int = server.getsockname()[1]
        self._file = folder / f"mosquitto-{self.port}.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self.configure("allow_anonymous true", *config)

    def configure(self, *config: str) -> None:
        """Set the configuration for the next start."""
        user = "user root"  # Mosquitto would drop its rights to the files of the test.
        lines = [f"listener {self.port} 127.0.0.1", user, "connection_messages false", *config]
        self._file.write_text("\n".join([*lines, ""]))

    async def start(self) -> None:
        assert EXECUTABLE
        self._process = subprocess.Popen(  # noqa: ASYNC220
            [EXECUTABLE, "-c", self._file], stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(30):
            while not await self._is_open():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _is_open(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def publish(
        self,
        topic: str,
        *payloads: str | bytes,
        retain: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        await asyncio.to_thread(self._publish, topic, payloads, retain, tls)

    def _publish(
        self,
        topic: str,
        payloads: tuple[str | bytes, ...],
        retain: bool,
        tls: ssl.SSLContext | None,
    ) -> None:
        client = Client(CallbackAPIVersion.VERSION2)
        if tls:
            client.tls_set_context(tls)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for payload in payloads:
            client.publish(topic, payload, qos=1, retain=retain).wait_for_publish()
        client.disconnect()
        client.loop_stop()


@asynccontextmanager
async def run_broker(folder: Path, *config: str) -> AsyncIterator[Broker]:
    broker = Broker(folder, *config)
    try:
        await broker.start()
        yield broker
    finally:
        broker.stop()
