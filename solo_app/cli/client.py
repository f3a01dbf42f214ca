"""Requests to the HTTP API, and their errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import httpx

from solo_app.cli.output import CommandError


class Client:
    """A client of one server. Raises click.BadParameter for an invalid URL."""

    def __init__(self, url: str) -> None:
        try:
            base = httpx.URL(url)
            if base.scheme not in ("http", "https") or not base.host:
                raise httpx.InvalidURL("Not the URL of a server")
        except httpx.InvalidURL:
            raise click.BadParameter(f"{url!r} is not a URL such as http://127.0.0.1.") from None
        self._server = f"{base.scheme}://{base.netloc.decode()}"
        self._http = httpx.Client(
            base_url=base,
            # Requests to this machine must not be sent to a proxy.
            trust_env=base.host not in ("127.0.0.1", "localhost", "::1"),
            verify=base.scheme == "https",  # Loading certificates takes longer than a request.
        )
        self.close = self._http.close

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send a request. Returns the JSON object of the response. Raises CommandError."""
        with self.stream(method, path, **options) as response:
            return self._read_object(response)

    def post(
        self, path: str, body: bytes | str, media_type: str = "application/json"
    ) -> dict[str, Any]:
        return self.request("POST", path, content=body, headers={"Content-Type": media_type})

    @contextmanager
    def stream(
        self, method: str, path: str, read_timeout: float = 60, **options: Any
    ) -> Iterator[httpx.Response]:
        """Open a response whose body is read in the block. Raises CommandError.

        ``read_timeout`` is the maximum time without data in seconds.
        """
        timeout = httpx.Timeout(read_timeout, connect=5)
        try:
            with self._http.stream(method, path, timeout=timeout, **options) as response:
                is_page = "html" in response.headers.get("Content-Type", "")
                if is_page or not response.is_success:
                    problem = {"status": response.status_code, **self._read_object(response)}
                    raise CommandError(problem.get("detail", response.text), problem)
                yield response
        except httpx.RequestError as error:
            raise CommandError(
                f"Connection to {self._server} failed ({str(error) or type(error).__name__}). "
                "Start the app with `reflex run`, or select another with --url."
            ) from None

    def _read_object(self, response: httpx.Response) -> dict[str, Any]:
        response.read()
        try:
            return {**response.json()}
        except (TypeError, ValueError):
            raise CommandError(f"{self._server} is not the SOLO API. Set --url.") from None
