"""The source ``http``, with a real server."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from solo_app.batches.errors import InvalidConfigurationError, SourceError
from solo_app.batches.models import LogLevel, RestartPolicy, utc_now
from solo_app.batches.source import Numbers, RunContext
from solo_app.batches.timing import Timing
from solo_app.config import Settings, SettingsError
from solo_app.sources import create_sources
from solo_app.sources.http import HTTP, MAX_BODY_BYTES, MAX_REDIRECTS
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, open_service, wait_until
from tests.sources.http_server import (
    Respond,
    aborting,
    dripping,
    flooding,
    redirect,
    resetting,
    response,
    sending,
    sending_then_closing,
    serve,
    waiting,
)

pytestmark = pytest.mark.anyio

HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n"
HUGE_REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 5000000000\r\n\r\n"


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def http_numbers(url: str, **parameters: object) -> AsyncGenerator[Numbers]:
    parsed = HTTP.parse({"url": url, **parameters})
    return cast(AsyncGenerator[Numbers], HTTP.read(parsed, cast(RunContext, None)))


async def read(url: str, count: int = 1, **parameters: Any) -> list[Numbers]:
    numbers: list[Numbers] = []
    async with aclosing(http_numbers(url, **parameters)) as source:
        while len(numbers) < count:
            numbers.append(await anext(source))
    return numbers


async def read_error(respond: Respond | bytes, **parameters: Any) -> str:
    """Return the error of the first read."""
    async with serve(respond) as server:
        with pytest.raises(SourceError) as raised:
            await read(server.url, **parameters)
    return str(raised.value)


@pytest.mark.parametrize(
    ("body", "pointer", "number"),
    [
        (" 21.5\n", "", 21.5),
        ("-0.5e-3", "", -0.0005),
        ("12345678901234567890", "", 12345678901234567890.0),
        ('{"main": {"temp": 4}}', "/main/temp", 4.0),
        ('{"list": [[1, 2], [3, 4]]}', "/list/1/0", 3.0),
        ('{"a/b": {"~": {"": 7}}}', "/a~1b/~0/", 7.0),
        ('{"1": 5, "a": NaN}', "/1", 5.0),
        ("\ufeff6", "", 6.0),
    ],
)
async def test_number_at_the_pointer_is_read(body: str, pointer: str, number: float) -> None:
    async with serve(response(body)) as server:
        assert await read(server.url, pointer=pointer) == [number]


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        ("<html>Hello</html>", "/a", "Response is not JSON"),
        ("", "", "Response is not JSON"),
        ("1,5", "", "Response is not JSON"),
        (b"\xff\xfe\xfd", "", "Response is not JSON"),
        ("[" * 100_000, "", "Response is not JSON"),
        ('{"a": 1}', "", "Response is an object, not a number"),
        ('{"a": [1]}', "/a", "The value at the pointer is an array, not a number"),
        ('{"a": "5"}', "/a", "The value at the pointer is text, not a number"),
        ('{"a": true}', "/a", "The value at the pointer is a boolean, not a number"),
        ('{"a": null}', "/a", "The value at the pointer is null, not a number"),
        ('{"a": NaN}', "/a", "The value at the pointer is not a finite number"),
        ('{"a": -Infinity}', "/a", "The value at the pointer is not a finite number"),
        ('{"a": 1e400}', "/a", "The value at the pointer is not a finite number"),
        ('{"a": 1' + "0" * 10_000 + "}", "/a", "The value at the pointer is not a finite number"),
        ('{"a": {}}', "/a/b", "The pointer matches nothing in the response"),
        ('{"a": [1]}', "/a/1", "The pointer matches nothing in the response"),
        ('{"a": [1]}', "/a/-", "The pointer matches nothing in the response"),
        ('{"a": [1]}', "/a/x", "The pointer matches nothing in the response"),
        ('{"a": 5}', "/a/0", "The pointer matches nothing in the response"),
        ('{"a": "5"}', "/a/0", "The pointer matches nothing in the response"),
        ('{"a": null}', "/a/0", "The pointer matches nothing in the response"),
    ],
)
async def test_response_without_a_number_is_an_error(
    body: str | bytes, pointer: str, message: str
) -> None:
    assert await read_error(response(body), pointer=pointer) == message


@pytest.mark.parametrize("status", [204, 300, 304, 404, 500, 503])
async def test_other_statuses_are_errors(status: int) -> None:
    error = await read_error(response(status=f"{status} Status"))
    assert error == ("Response is not JSON" if status == 204 else f"HTTP {status}")


async def test_five_redirects_are_followed() -> None:
    redirects = [redirect(f"/{n}") for n in range(MAX_REDIRECTS)]
    async with serve(sending(*redirects, response("8"))) as server:
        assert await read(server.url) == [8]


async def test_redirect_loop_is_an_error() -> None:
    async with serve(redirect("/")) as server:
        with pytest.raises(SourceError, match="More than 5 redirects"):
            await read(server.url)
        assert len(server.requests) == 1 + MAX_REDIRECTS


@pytest.mark.parametrize(
    "location",
    ["ftp://127.0.0.1/", "file:///etc/passwd", "http://user@127.0.0.1/", "//:word@127.0.0.1/"],
)
async def test_redirect_obeys_the_rules_for_urls(location: str) -> None:
    error = await read_error(redirect(location))
    assert error == "Redirected to a URL that is not allowed"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://127.0.0.1:port/", "Request failed: Invalid URL in location header"),
        ("http://xn--n3h.net/", "Redirected to an invalid URL"),
    ],
)
async def test_redirect_to_an_invalid_url_is_an_error(location: str, message: str) -> None:
    assert (await read_error(redirect(location))).startswith(message)


@pytest.mark.parametrize(
    ("head", "message"),
    [(HUGE, "Response is larger than 1 MiB"), (HUGE_REDIRECT, "More than 5 redirects")],
)
async def test_huge_response_is_not_read(head: bytes, message: str) -> None:
    sent = 0

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(head)
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()
            sent += 65_536

    assert await read_error(respond) == message
    # The rest is in the buffers of the sockets.
    assert sent < 64 * MAX_BODY_BYTES


async def test_response_of_one_mebibyte_is_read() -> None:
    async with serve(response(b"5".rjust(MAX_BODY_BYTES))) as server:
        assert await read(server.url) == [5]
    assert await read_error(response(b"5".rjust(MAX_BODY_BYTES + 1))) == (
        "Response is larger than 1 MiB"
    )


@pytest.mark.parametrize("encoding", ["gzip", "GZIP, gzip", "br", "zstd"])
async def test_compressed_response_is_refused(encoding: str) -> None:
    bomb = gzip.compress(b" " * 2 * MAX_BODY_BYTES)
    async with serve(response(bomb, Content_Encoding=encoding)) as server:
        with pytest.raises(SourceError, match="Response is compressed"):
            await read(server.url)
        assert "accept-encoding: identity\r\n" in server.requests[0].lower()


@pytest.mark.parametrize(
    "respond",
    [waiting, dripping(HUGE), dripping(b""), dripping(b"HTTP/1.1 200 OK\r\nX: ")],
    ids=["silent", "body", "no response", "headers"],
)
async def test_timeout_limits_the_whole_read(respond: Respond) -> None:
    async with asyncio.timeout(30):
        assert await read_error(respond, timeout=0.1) == "Timed out"


@pytest.mark.parametrize(
    ("respond", "message"),
    [
        (sending_then_closing(HUGE + b"12"), "peer closed connection without sending complete"),
        (sending_then_closing(b""), "Server disconnected without sending a response"),
        (sending_then_closing(b"SSH-2.0-OpenSSH\r\n\r\n"), "illegal status line"),
        (flooding(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 10_000), "Receive buffer too long"),
        (aborting, "Server disconnected without sending a response"),
    ],
    ids=["incomplete", "no response", "another protocol", "long header", "aborted"],
)
async def test_broken_response_is_an_error(respond: Respond, message: str) -> None:
    assert (await read_error(respond)).startswith(f"Request failed: {message}")


async def test_reset_connection_is_an_error() -> None:
    assert await read_error(resetting) == "Connection lost"


async def test_tiny_chunks_do_not_block_the_event_loop() -> None:
    iterations = 0

    async def count_iterations() -> None:
        nonlocal iterations
        while True:
            iterations += 1
            await asyncio.sleep(0)

    chunks = b"1\r\n \r\n" * 5_000 + b"1\r\n6\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    counting = asyncio.create_task(count_iterations())
    async with serve(head + chunks) as server:
        assert await read(server.url) == [6]
    counting.cancel()
    assert iterations > 5_000


@pytest.mark.parametrize(
    ("host", "message"),
    [("127.0.0.1:1", "Connection refused"), ("localhost.invalid", "Host name not found")],
)
async def test_unreachable_server_is_an_error(host: str, message: str) -> None:
    with pytest.raises(SourceError) as raised:
        await read(f"http://{host}/")
    assert str(raised.value) == f"Cannot connect: {message}"


async def test_trusted_certificate_is_accepted(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serve(response("9"), tls) as server:
        assert await read(server.url) == [9]


async def test_untrusted_certificate_is_an_error(tls: ssl.SSLContext) -> None:
    async with serve(response("1"), tls) as server:
        with pytest.raises(SourceError, match=r"Cannot connect: self-signed certificate"):
            await read(server.url)
        assert server.requests == []


async def test_reads_reuse_the_connection() -> None:
    async with serve(response("1")) as server:
        assert await read(server.url, 3, interval=0.1) == [1, 1, 1]
        assert server.connection_count < len(server.requests)


async def test_cookies_are_not_kept() -> None:
    async with serve(response("1", Set_Cookie="a=b")) as server:
        await read(server.url, 2, interval=0.1)
        assert "cookie" not in server.requests[1].lower()


async def test_batch_continues_when_the_server_recovers() -> None:
    responses = [response(status="503 Busy"), redirect("/"), response("<html>"), response("4")]
    timing = Timing(restart_delay=0.01)
    async with (
        serve(sending(response("3"), *responses)) as server,
        open_service(MemoryStorage(), timing=timing, http=HTTP) as service,
    ):
        await service.start("b", "http", {"url": server.url, "interval": 0.1})
        await wait_until(lambda: service.totals().row_count >= 2)
        assert [point.key for point in await service.points("b", 0, 2)] == [3, 4]
        assert service.batch("b").run.number == 1
        errors = [line.text for line in await service.log("b") if line.level == LogLevel.RETRY]
    assert [error.partition(": ")[2] for error in errors] == ["HTTP 503", "Response is not JSON"]


async def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(response("1")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert await read("http://sensor.invalid/value") == [1]
        assert proxy.requests[0].startswith("GET http://sensor.invalid/value HTTP/1.1")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_ended_read_closes_its_connection(scheme: str, is_cancelled: bool) -> None:
    async with serve(waiting) as server:
        # The server responds neither to the TLS handshake nor to a request.
        url = server.url.replace("http:", f"{scheme}:")
        tasks = asyncio.all_tasks()
        reading = asyncio.create_task(read(url, timeout=60 if is_cancelled else 0.1))
        await wait_until(lambda: server.open_connections == 1)
        if is_cancelled:
            reading.cancel()
        await asyncio.wait({reading})
        await wait_until(lambda: server.open_connections == 0)
        await wait_until(lambda: asyncio.all_tasks() <= tasks)


async def test_end_of_the_source_closes_its_connections() -> None:
    async with serve(response("1")) as server:
        source = http_numbers(server.url, interval=3600)
        await anext(source)
        assert server.open_connections == 1
        await source.aclose()
        await wait_until(lambda: server.open_connections == 0)


def declared_numbers(url: str, **parameters: object) -> AsyncGenerator[Numbers]:
    model = HTTP.declared_parameters
    assert model
    parsed = model.model_validate({"url": url, **parameters}, context={"folder": Path()})
    return cast(AsyncGenerator[Numbers], HTTP.read(parsed, cast(RunContext, None)))


async def read_declared(url: str, **parameters: object) -> Numbers:
    async with aclosing(declared_numbers(url, **parameters)) as source:
        return await anext(source)


SECRET = "s3cret"
SECRET_HEADERS = {"X-API-Key": SECRET, "Authorization": SECRET, "Cookie": SECRET}


async def test_declared_method_headers_and_body_are_sent() -> None:
    body = b""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal body
        body = await reader.readexactly(7)
        writer.write(response("1"))

    headers = {"X-API-Key": SECRET, "content-type": "text/plain"}
    async with serve(respond) as server:
        assert await read_declared(server.url, method="POST", headers=headers, body="pow\u00e9r?")
        request = server.requests[0]
    assert body == "pow\u00e9r?".encode()
    assert request.startswith("POST / HTTP/1.1")
    for header in (f"X-API-Key: {SECRET}", "content-type: text/plain", "Content-Length: 7"):
        assert f"{header}\r\n".lower() in request.lower()


async def test_user_and_password_of_a_declared_url_are_sent() -> None:
    async with serve(sending(redirect("/value"), response("1"))) as server:
        await read_declared(server.url.replace("//", "//user:wo%20rd@"))
        for request in server.requests:
            assert "Authorization: Basic dXNlcjp3byByZA==\r\n" in request


async def test_redirect_within_the_origin_keeps_headers_and_body() -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(4) == b"body"
        writer.write(answers.pop(0))

    answers = [response(status="307 Moved", Location="/value"), response("1")]
    async with serve(respond) as server:
        headers = {"X-API-Key": SECRET, "Authorization": SECRET}
        await read_declared(server.url, method="PUT", headers=headers, body="body")
        assert [request.count(SECRET) for request in server.requests] == [2, 2]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Moved"])
async def test_redirect_to_another_origin_gets_no_declared_headers(status: str) -> None:
    async with serve(sending(redirect("/value"), response("1"))) as other:
        async with serve(response(status=status, Location=other.url)) as server:
            url = server.url.replace("//", f"//{SECRET}:{SECRET}@")
            await read_declared(url, headers={**SECRET_HEADERS, "Host": SECRET})
            await read_declared(server.url, headers=SECRET_HEADERS)
            assert SECRET in server.requests[0]
        assert len(other.requests) == 3
        for request in other.requests:
            assert SECRET not in request
            assert f"Host: {other.url[7:-1]}\r\n" in request


async def test_redirect_to_another_origin_gets_no_credentials_of_the_url() -> None:
    async with serve(response("1")) as other:
        location = other.url.replace("//", "//user:word@")
        async with serve(response(status="302 Found", Location=location)) as server:
            with pytest.raises(SourceError, match="another origin; credentials or body not sent"):
                await read_declared(server.url.replace("//", "//user:word@"))
        assert other.requests == []


async def test_redirect_to_another_origin_gets_no_body() -> None:
    async with serve(response("1")) as other:
        async with serve(response(status="307 Moved", Location=other.url)) as server:
            with pytest.raises(SourceError, match="another origin; credentials or body not sent"):
                await read_declared(server.url, method="POST", body=SECRET)
        assert other.requests == []
        async with serve(response(status="303 See Other", Location=other.url)) as server:
            assert await read_declared(server.url, method="POST", body=SECRET) == 1
        assert other.requests[0].startswith("GET / ")


async def test_declared_ca_file_is_trusted(tls: ssl.SSLContext, certificate: Path) -> None:
    async with serve(response("9"), tls) as server:
        assert await read_declared(server.url, ca_file=str(certificate)) == 9
        url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(SourceError) as raised:
            await read_declared(url, ca_file=str(certificate))
    assert str(raised.value) == "Cannot connect: The certificate is for another host"


async def test_removed_ca_file_is_an_error(tmp_path: Path, certificate: Path) -> None:
    file = tmp_path / "pem"
    shutil.copy(certificate, file)
    async with aclosing(declared_numbers("https://127.0.0.1/", ca_file=str(file))) as source:
        file.unlink()
        with pytest.raises(SourceError, match="The CA file cannot be loaded"):
            await anext(source)


async def test_parameters_are_in_no_log(
    tls: ssl.SSLContext, certificate: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    (tmp_path / f"{SECRET}.pem").write_bytes(certificate.read_bytes())
    answers = [response(status="500 Busy"), response('{"a": 1}'), redirect(f"//other/{'a' * 99}")]
    async with serve(sending(*answers), tls) as server:
        port = server.url.strip("/").rpartition(":")[2]
        values = f"""kind = "http"\nmethod = "POST"\nbody = "{SECRET}"\npointer = "/{SECRET}"
timeout = 1234.5\nca_file = "{SECRET}.pem"\nheaders = {{ X-Key = "{SECRET}" }}\n"""
        user, path = f"{SECRET}:{SECRET}@", f"/{SECRET}?key={SECRET}"
        urls = {
            "name": f"https://{user}{SECRET}.invalid{path}",
            "mismatch": f"https://{user}localhost:{port}{path}",
            "refused": f"https://{user}127.0.0.1:1{path}",
            "status": f"https://{user}127.0.0.1:{port}{path}",
        }
        file = tmp_path / "solo.toml"
        tables = [f'[sources.{name}]\nurl = "{url}"\n{values}' for name, url in urls.items()]
        file.write_text("".join(tables))
        sources = create_sources(Settings.model_construct(config=file))
        declared = {name: sources[name] for name in urls}
        async with open_service(MemoryStorage(), utc_now, False, FAST_RETRY, **declared) as service:
            for name in [*urls, "status"]:
                await wait_until(lambda: "status" not in [b.batch_id for b in service.running()])
                await service.start(name, name, restart=RestartPolicy.NEVER)
            await wait_until(lambda: not service.running())
            texts = [line.text for name in urls for line in await service.log(name)]
            texts += [str(service.batch(name).run.reason) for name in urls]
    # The server of the test logs to asyncio.
    logged = " ".join([*texts, *(r.getMessage() for r in caplog.records if r.name != "asyncio")])
    for reason in (
        "Host name not found",
        "The certificate is for another host",
        "Connection refused",
        "HTTP 500",
        "The pointer matches nothing in the response",
    ):
        assert reason in logged
    for secret in (SECRET, port, "localhost", "127.0.0.1", "1234"):
        assert secret not in logged


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'method = "{SECRET}"', "method: Input should be 'GET', 'POST' or 'PUT'."),
        (f'body = "{SECRET}"', "body: Requires the method POST or PUT."),
        (f'headers = "{SECRET}"', "headers: Must be a table or object."),
        (f'headers = {{ "a: {SECRET}" = "" }}', "headers: A name has invalid characters."),
        (f'headers = {{ Content-Length = "{SECRET}" }}', "headers: A name has invalid characters."),
        (f'headers = {{ "" = "{SECRET}" }}', "headers: A name has invalid characters."),
        (f'headers = {{ a = "{SECRET}\\r\\nb: c" }}', "headers.a: Has invalid characters"),
        (f'headers = {{ a = " {SECRET}" }}', "headers.a: Has invalid characters"),
        (f'headers = {{ a = "{SECRET}\u00e9" }}', "headers.a: Has invalid characters"),
        (f'ca_file = "{SECRET}"', "ca_file: File or folder not found."),
        (
            'ca_file = "solo.toml"',
            "ca_file: Must be a readable file with certificates in PEM format.",
        ),
    ],
)
def test_invalid_declared_parameter_is_named(tmp_path: Path, line: str, expected: str) -> None:
    file = tmp_path / "solo.toml"
    file.write_text(f'[sources.a]\nkind = "http"\nurl = "http://a/"\n{line}\n', "utf-8")
    with pytest.raises(SettingsError) as raised:
        create_sources(Settings.model_construct(config=file))
    assert str(raised.value).startswith(f"{file}: [sources.a] {expected}")
    assert SECRET not in str(raised.value)


VALID = {"url": "http://127.0.0.1/"}


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"url": 5}, "url"),
        ({"url": "sensor"}, "url"),
        ({"url": "localhost:8000"}, "url"),
        ({"url": "ftp://sensor/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://a b/"}, "url"),
        ({"url": "http://sensor:99999/"}, "url"),
        ({"url": "http://xn--n3h.net/"}, "url"),
        ({"url": "http://sensor/\n"}, "url"),
        ({"url": "http://sensor/" + "a" * 3_000}, "url"),
        ({"url": "https://user:word@sensor/"}, "url"),
        ({"url": "https://user@sensor/"}, "url"),
        ({"url": "https://:word@sensor/"}, "url"),
        ({**VALID, "pointer": "a"}, "pointer"),
        ({**VALID, "pointer": "/a~2"}, "pointer"),
        ({**VALID, "pointer": "/a~"}, "pointer"),
        ({**VALID, "pointer": "/" + "a" * 200}, "pointer"),
        ({**VALID, "pointer": None}, "pointer"),
        ({**VALID, "pointer": 1}, "pointer"),
        ({**VALID, "interval": 0}, "interval"),
        ({**VALID, "interval": 3601}, "interval"),
        ({**VALID, "interval": "5"}, "interval"),
        ({**VALID, "interval": True}, "interval"),
        ({**VALID, "interval": None}, "interval"),
        ({**VALID, "interval": float("nan")}, "interval"),
        ({**VALID, "interval": float("inf")}, "interval"),
        ({**VALID, "timeout": 0}, "timeout"),
        ({**VALID, "timeout": 3601}, "timeout"),
        ({**VALID, "timeout": "5"}, "timeout"),
        ({**VALID, "timeout": False}, "timeout"),
        ({**VALID, "timeout": float("nan")}, "timeout"),
        ({**VALID, "method": "POST"}, "method"),
    ],
)
def test_invalid_parameter_is_named(parameters: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        HTTP.parse(parameters)
    assert list(raised.value.errors) == [f"parameters.{field}"]
