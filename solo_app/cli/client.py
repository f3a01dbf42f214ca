"""Requests to the HTTP API, and their errors."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from solo_app.cli.output import CommandError

if TYPE_CHECKING:  # Functions import it: importing httpx would double the time of `--help`.
    import httpx

CONNECT_TIMEOUT = 5.0
RESPONSE_TIMEOUT = 60.0


class NotConnectedError(CommandError):
    """The server cannot be reached; it has not received the request."""


class ConnectionLostError(CommandError):
    """The response is missing or incomplete. The server may have processed the request."""


class RefusedError(CommandError):
    """The server responded with an error. ``problem`` is the problem document."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.problem = problem


class Client:
    """A client of one server. Raises ValueError for an invalid URL."""

    def __init__(self, url: str) -> None:
        import httpx

        try:
            base = httpx.URL(url)
        except httpx.InvalidURL:
            raise ValueError from None
        if base.scheme not in ("http", "https") or not base.host or base.query or base.fragment:
            raise ValueError
        self._server = f"{base.scheme}://{base.netloc.decode()}"
        self._http = httpx.Client(
            base_url=base,
            trust_env=not _is_loopback(base.host),
            verify=base.scheme == "https",  # Loading certificates takes longer than a request.
            # Servers close idle connections: a request must not be sent at that moment.
            limits=httpx.Limits(keepalive_expiry=1),
        )

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send a request. Returns the JSON object of the response. Raises CommandError."""
        with self._errors():
            response = self._http.request(method, path, timeout=RESPONSE_TIMEOUT, **options)
        self._check(response)
        return self._to_object(response)

    def post(self, path: str, body: bytes | str, media_type: str) -> dict[str, Any]:
        return self.request("POST", path, content=body, headers={"Content-Type": media_type})

    @contextmanager
    def stream(self, path: str, read_timeout: float, **options: Any) -> Iterator[httpx.Response]:
        """Open a response whose body is read in the block. Raises CommandError.

        ``read_timeout`` limits the seconds without data.
        """
        import httpx

        timeout = httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT)
        with self._errors(), self._http.stream("GET", path, timeout=timeout, **options) as response:
            self._check(response)
            yield response

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise NotConnectedError(
                f"Cannot connect to {self._server} ({error}). "
                "Start the app with `reflex run`, or select another with --url."
            ) from None
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
            text = f"Connection to {self._server} lost ({reason})."
            raise ConnectionLostError(text) from None

    def _check(self, response: httpx.Response) -> None:
        """Raise CommandError unless the response is a success of the API. Pages are HTML."""
        if response.is_success and "html" not in response.headers.get("Content-Type", ""):
            return
        response.read()
        problem = self._to_object(response)
        raise RefusedError({"status": response.status_code, "detail": response.text, **problem})

    def _to_object(self, response: httpx.Response) -> dict[str, Any]:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            text = f"{self._server} is not the API of SOLO. Select the API with --url."
            raise CommandError(text)
        return document


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
