"""The source ``mqtt``, with a real mosquitto."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from solo_app.batches.errors import InvalidConfigurationError, SourceError
from solo_app.batches.models import RestartPolicy, utc_now
from solo_app.batches.source import Numbers
from solo_app.config import Settings, SettingsError
from solo_app.sources import create_sources
from solo_app.sources.mqtt import MAX_MESSAGE_BYTES, MQTT
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, open_service, wait_until
from tests.sources.http_server import serve, waiting
from tests.sources.mqtt_broker import EXECUTABLE, Broker, needs_mosquitto, run_broker

pytestmark = pytest.mark.anyio

SECRET = "s3cret"


class Run:
    """A run whose log is a list."""

    idle_seconds = 0.0

    def __init__(self) -> None:
        self.texts: list[str] = []

    def log(self, text: str) -> None:
        self.texts.append(text)


def numbers(port: int, run: Run, **parameters: object) -> AsyncGenerator[Numbers]:
    model = MQTT.declared_parameters
    assert model
    values = {"host": "127.0.0.1", "port": port, "topic": "home/power", **parameters}
    parsed = model.model_validate(values, context={"folder": Path()})
    return cast(AsyncGenerator[Numbers], MQTT.read(parsed, run))


async def read_error(port: int, **parameters: object) -> str:
    """Return the error of the first connection."""
    async with aclosing(numbers(port, Run(), **parameters)) as source, asyncio.timeout(30):
        with pytest.raises(SourceError) as raised:
            await anext(source)
    return str(raised.value)


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solo_app.sources.mqtt.MIN_RECONNECT_DELAY", 0.01)
    monkeypatch.setattr("solo_app.sources.mqtt.CONNECT_TIMEOUT", 1)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[Broker]:
    if not EXECUTABLE:
        pytest.skip("needs mosquitto")
    async with run_broker(tmp_path) as opened:
        yield opened


def set_password(folder: Path, password: str, user: str = "user") -> str:
    """Return the line of mosquitto's configuration for a user with a password."""
    tool = shutil.which("mosquitto_passwd")
    if not tool:
        pytest.skip("needs mosquitto_passwd")
    file = folder / "passwords"
    file.unlink(missing_ok=True)
    subprocess.run([tool, "-b", "-c", file, user, password], check=True, capture_output=True)
    return f"password_file {file}"


def tls_lines(certificate: Path) -> list[str]:
    return [f"certfile {certificate}", f"keyfile {certificate}"]


@pytest.mark.parametrize(
    ("payload", "pointer", "number"),
    [(" 21.5\n", "", 21.5), ('{"main": {"temp": 4}}', "/main/temp", 4.0)],
)
async def test_retained_message_is_read(
    broker: Broker, payload: str, pointer: str, number: float
) -> None:
    await broker.publish("home/power", payload, retain=True)
    async with aclosing(numbers(broker.port, Run(), pointer=pointer)) as source:
        assert await anext(source) == number


async def test_wildcard_reads_the_messages_of_all_matching_topics(broker: Broker) -> None:
    for topic, payload in [("home/a/power", "1"), ("home/b/power", "2"), ("home/b", "3")]:
        await broker.publish(topic, payload, retain=True)
    async with aclosing(numbers(broker.port, Run(), topic="home/+/power")) as source:
        assert {await anext(source), await anext(source)} == {1, 2}
        await broker.publish("home/b", "4")
        await broker.publish("home/c/power", "5")
        assert await anext(source) == 5


async def test_messages_without_a_number_are_logged_and_skipped(broker: Broker) -> None:
    await broker.publish("home/power", "0", retain=True)
    run = Run()
    async with aclosing(numbers(broker.port, run)) as source:
        await anext(source)
        too_large = b"5".rjust(MAX_MESSAGE_BYTES + 1)
        await broker.publish("home/power", "", "on", b"\xff", "[1]", too_large, "NaN", "7")
        assert await anext(source) == 7
    assert run.texts == [
        "Skipped: Message is not JSON",
        "Skipped: Message is not JSON",
        "Skipped: Message is not JSON",
        "Skipped: Message is an array, not a number",
        "Skipped: Message is larger than 1 MiB",
        "Skipped: Message is not a finite number",
    ]


@pytest.mark.usefixtures("_fast")
async def test_source_reconnects_to_a_restarted_broker(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    await broker.publish("home/power", "1", retain=True)
    run = Run()
    async with aclosing(numbers(broker.port, run)) as source:
        assert await anext(source) == 1
        for number in (2, 3):
            broker.stop()
            reading = asyncio.ensure_future(anext(source))
            await wait_until(lambda: run.texts[-1:] == ["Connection lost. Reconnecting."])
            await broker.start()
            await wait_until(lambda: run.texts[-1:] == ["Reconnected."])
            await broker.publish("home/power", str(number))
            assert await reading == number
    assert len(run.texts) == 4
    assert [r for r in caplog.records if r.levelname != "DEBUG"] == []


@pytest.mark.usefixtures("_fast")
async def test_source_logs_in_again_after_a_restart(tmp_path: Path) -> None:
    async with run_broker(tmp_path) as broker:
        await broker.publish("home/power", "1", retain=True)
        login = {"username": "user", "password": SECRET}
        async with aclosing(numbers(broker.port, Run(), **login)) as source:
            assert await anext(source) == 1
            broker.stop()
            broker.configure("allow_anonymous false", set_password(tmp_path, "another"))
            await broker.start()
            with pytest.raises(SourceError, match="The broker refused the connection"):
                await anext(source)


@needs_mosquitto
async def test_wrong_password_is_an_error(tmp_path: Path) -> None:
    lines = ["allow_anonymous false", set_password(tmp_path, SECRET)]
    async with run_broker(tmp_path, *lines) as broker:
        for login in ({}, {"username": "user"}, {"username": "user", "password": "wrong"}):
            error = await read_error(broker.port, **login)
            assert error == "The broker refused the connection: Not authorized"
        run, login = Run(), {"username": "user", "password": SECRET}
        async with aclosing(numbers(broker.port, run, topic="$SYS/#", **login)) as source:
            reading = asyncio.ensure_future(anext(source))
            # The broker publishes texts and numbers about itself.
            await wait_until(lambda: run.texts or reading.done())
            reading.cancel()
            await asyncio.wait({reading})


@needs_mosquitto
async def test_tls_verifies_the_certificate(tmp_path: Path, certificate: Path) -> None:
    async with run_broker(tmp_path, *tls_lines(certificate)) as broker:
        trusted = {"tls": True, "ca_file": str(certificate)}
        async with aclosing(numbers(broker.port, Run(), topic="$SYS/#", **trusted)) as source:
            assert isinstance(await anext(source), float)
        error = await read_error(broker.port, tls=True)
        assert error == "Cannot connect: self-signed certificate"
        error = await read_error(broker.port, host="localhost", **trusted)
        assert error == "Cannot connect: The certificate is for another host"
        error = await read_error(broker.port)
        assert error == "Cannot connect: Connection reset by peer"


async def test_tls_to_a_port_without_tls_is_an_error(broker: Broker) -> None:
    error = await read_error(broker.port, tls=True)
    assert error in (
        "Cannot connect: TLS handshake failed",
        "Cannot connect: Connection reset by peer",
    )


@pytest.mark.parametrize(
    ("host", "message"),
    [("127.0.0.1", "Connection refused"), ("localhost.invalid", "Host name not found")],
)
async def test_unreachable_broker_is_an_error(host: str, message: str) -> None:
    assert await read_error(1, host=host) == f"Cannot connect: {message}"


@pytest.mark.usefixtures("_fast")
@pytest.mark.parametrize("tls", [False, True])
async def test_silent_server_is_an_error(tls: bool) -> None:
    async with serve(waiting) as server:
        port = int(server.url.strip("/").rpartition(":")[2])
        assert await read_error(port, tls=tls) == "Cannot connect: Timed out"
        await wait_until(lambda: server.open_connections == 0)


async def test_stop_while_connecting_closes_the_connection() -> None:
    tasks = asyncio.all_tasks()
    async with serve(waiting) as server:
        port = int(server.url.strip("/").rpartition(":")[2])
        reading = asyncio.ensure_future(anext(numbers(port, Run())))
        await wait_until(lambda: server.connection_count == 1)
        reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled()
        await wait_until(lambda: server.open_connections == 0)
    await wait_until(lambda: asyncio.all_tasks() <= tasks)


@pytest.mark.usefixtures("_fast")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Cannot connect: Connection reset by peer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Cannot connect: "),
        (b"\x20\x02\x00\x03", "The broker refused the connection: Server unavailable"),
        (b"\x20\x02\x00\x00\x90\x03\x00\x01\x80", "The broker refused the subscription"),
    ],
    ids=["closed", "another protocol", "unavailable", "subscription"],
)
async def test_unusable_server_is_an_error(data: bytes, message: str) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(data)
        if data:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await read_error(port)).startswith(message)


CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00"
PINGRESP, SEVEN = b"\xd0\x00", b"\x30\x04\x00\x01a7"
"""Packets of a broker; the last one is a message."""


@asynccontextmanager
async def serve_packets(data: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Send the same packets to each client. Yields the port."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_packets_in_one_tls_record_are_read(tls: ssl.SSLContext, certificate: Path) -> None:
    # Mosquitto sends each packet in its own record. Other brokers and TLS proxies do not.
    data = CONNACK + 20 * PINGRESP + SUBACK + SEVEN
    trusted = {"tls": True, "ca_file": str(certificate)}
    async with (
        serve_packets(data, tls) as port,
        aclosing(numbers(port, Run(), **trusted)) as source,
    ):
        assert await anext(source) == 7


async def test_messages_before_the_suback_are_read() -> None:
    # MQTT allows a broker to send them before it acknowledges the subscription.
    data = CONNACK + 300 * SEVEN + SUBACK
    async with serve_packets(data) as port, aclosing(numbers(port, Run())) as source:
        assert [await anext(source) for _ in range(300)] == 300 * [7]


async def test_cancelled_source_closes_its_connection(broker: Broker) -> None:
    await broker.publish("home/power", "1", retain=True)
    tasks = asyncio.all_tasks()
    for _ in range(3):
        source = numbers(broker.port, Run())
        await anext(source)
        reading = asyncio.ensure_future(anext(source))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        await wait_until(lambda: asyncio.all_tasks() <= tasks)


async def test_connection_opened_after_a_stop_is_closed(
    tls: ssl.SSLContext, certificate: Path
) -> None:
    def read_all() -> None:
        connection.settimeout(30)
        with tls.wrap_socket(connection, server_side=True) as encrypted:
            while encrypted.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = numbers(port, Run(), tls=True, ca_file=str(certificate))
        reading = asyncio.ensure_future(anext(source))
        connection, _ = await asyncio.to_thread(server.accept)
        reading.cancel()
        await asyncio.wait({reading})
        await asyncio.to_thread(read_all)  # A thread continues to connect.


async def test_burst_of_messages_is_read_completely(broker: Broker) -> None:
    await broker.publish("home/power", "0", retain=True)
    async with aclosing(numbers(broker.port, Run())) as source:
        await anext(source)
        await broker.publish("home/power", *map(str, range(1, 501)))
        assert [await anext(source) for _ in range(500)] == list(range(1, 501))


@needs_mosquitto
async def test_parameters_are_in_no_log(
    tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    ca_file = tmp_path / f"{SECRET}.pem"
    ca_file.write_bytes(certificate.read_bytes())
    values = f"""kind = "mqtt"\ntopic = "{SECRET}/#"\npointer = "/{SECRET}"
username = "{SECRET}-user"\ntls = true\nca_file = "{ca_file}"\n"""
    password = set_password(tmp_path, f"{SECRET}-word", f"{SECRET}-user")
    async with run_broker(tmp_path, password, *tls_lines(certificate)) as broker:
        port, word = f"port = {broker.port}\n", f'password = "{SECRET}-word"\n'
        tables = {
            "name": f'{values}{word}host = "{SECRET}.invalid"\n',
            "mismatch": f'{values}{word}{port}host = "localhost"\n',
            "login": f'{values}{port}host = "127.0.0.1"\npassword = "{SECRET}"\n',
            "pointer": f'{values}{word}{port}host = "127.0.0.1"\n',
        }
        file = tmp_path / "solo.toml"
        file.write_text("".join(f"[sources.{name}]\n{t}" for name, t in tables.items()))
        sources = create_sources(Settings.model_construct(config=file))
        declared = {name: sources[name] for name in tables}
        tls = ssl.create_default_context(cafile=ca_file)
        await broker.publish(f"{SECRET}/power", '{"a": 1}', retain=True, tls=tls)
        async with open_service(MemoryStorage(), utc_now, False, FAST_RETRY, **declared) as service:
            for name in tables:
                await service.start(name, name, restart=RestartPolicy.NEVER)
            await wait_until(lambda: len(service.running()) == 1)
            while not any("matches nothing" in line.text for line in await service.log("pointer")):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await service.stop("pointer")
            texts = [line.text for name in tables for line in await service.log(name)]
            texts += [str(service.batch(name).run.reason) for name in tables]
    assert "Cannot connect: The certificate is for another host" in " ".join(texts)
    assert "The broker refused the connection" in " ".join(texts)
    logged = " ".join([*texts, *map(str, (r.getMessage() for r in caplog.records))])
    for secret in (SECRET, str(broker.port), "localhost", "127.0.0.1"):
        assert secret not in logged


VALID = {"host": "sensor", "topic": "home"}


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"topic": "a"}, "host"),
        ({**VALID, "host": ""}, "host"),
        ({**VALID, "host": "a b"}, "host"),
        ({**VALID, "host": "localhost:1883"}, "host"),
        ({**VALID, "host": "cafe:1883"}, "host"),
        ({**VALID, "host": "mqtt://sensor"}, "host"),
        ({**VALID, "host": "a..b"}, "host"),
        ({**VALID, "host": "a" * 64}, "host"),
        ({**VALID, "port": 0}, "port"),
        ({**VALID, "port": 65536}, "port"),
        ({**VALID, "port": "1883"}, "port"),
        ({"host": "a"}, "topic"),
        ({**VALID, "topic": ""}, "topic"),
        ({**VALID, "topic": "a/#/b"}, "topic"),
        ({**VALID, "topic": "a+/b"}, "topic"),
        ({**VALID, "topic": "a\0"}, "topic"),
        ({**VALID, "topic": "a" * 1001}, "topic"),
        ({**VALID, "pointer": "a"}, "pointer"),
        ({**VALID, "tls": "yes"}, "tls"),
        ({**VALID, "username": "a"}, "username"),
        ({**VALID, "password": "a"}, "password"),
        ({**VALID, "ca_file": "a"}, "ca_file"),
    ],
)
def test_invalid_parameter_is_named(parameters: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        MQTT.parse(parameters)
    assert list(raised.value.errors) == [f"parameters.{field}"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'password = "{SECRET}"', "password: Requires `username`."),
        (f'username = "{SECRET}\\u0000"', "username: Has invalid characters or an invalid format."),
        (f'tls = true\nca_file = "{SECRET}"', "ca_file: File or folder not found."),
        (
            'tls = true\nca_file = "solo.toml"',
            "ca_file: Must be a readable file with certificates in PEM format.",
        ),
        ('ca_file = "pem"', "ca_file: Requires `tls`."),
    ],
)
def test_invalid_declared_parameter_is_named(
    tmp_path: Path, certificate: Path, line: str, expected: str
) -> None:
    shutil.copy(certificate, tmp_path / "pem")
    file = tmp_path / "solo.toml"
    file.write_text(f'[sources.a]\nkind = "mqtt"\nhost = "a"\ntopic = "a"\n{line}\n')
    with pytest.raises(SettingsError) as raised:
        create_sources(Settings.model_construct(config=file))
    assert str(raised.value) == f"{file}: [sources.a] {expected}"
