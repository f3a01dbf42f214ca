"""Access control: the hosts, origins and pages that may use the app.

Browsers allow any page to send requests to this app. Three headers that pages cannot forge identify
such requests: ``Host`` (a foreign name indicates DNS rebinding), ``Origin`` (sent with WebSockets,
requests by scripts, and all methods except GET and HEAD) and ``Sec-Fetch-*`` (W3C Fetch Metadata,
sent with all requests). Requests without ``Origin`` and ``Sec-Fetch-*`` come from programs and are
allowed.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope


class AccessControl:
    """Allows requests from programs and from pages of ``origins``, and navigation by the user."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)
        self._hosts = list(dict.fromkeys(urlsplit(origin).hostname or "" for origin in origins))

    def refusal_reason(self, scope: Scope, headers: Headers, is_document: bool) -> str | None:
        """Return why a request is refused, None if it is allowed.

        Any page may navigate to a document; other responses open only when the user follows a link.
        """
        hosts = [_host_name(host) for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return f"Unknown host name. Use {' or '.join(self._hosts)}."
        origins = set(headers.getlist("origin"))
        if origins or scope["type"] == "websocket":
            is_allowed = bool(origins) and origins <= self._origins
        elif set(headers.getlist("sec-fetch-site")) <= {"same-origin", "none"}:
            is_allowed = True
        else:
            is_allowed = _is_navigation(scope, headers) and (
                is_document or headers.get("sec-fetch-user") == "?1"
            )
        return None if is_allowed else "Requests from pages of other origins are not allowed."


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser opens the response in a tab, not in a frame."""
    return (
        scope["method"] in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
