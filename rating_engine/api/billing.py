"""What two surfaces share, /billing/api: a first segment of digits and dots is a version of one, else a function."""

from __future__ import annotations

import re
from typing import Final

from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

_PATH: Final = re.compile(r"/+billing/+api/+(?P<path>.*)", re.DOTALL)
_VERSION: Final = re.compile(r"[0-9.]+")


class BillingApi:
    """Hands each request to the surface that its path is of (ASGI)."""

    def __init__(self, by_version: ASGIApp, by_function: ASGIApp) -> None:
        self._by_version = by_version
        self._by_function = by_function

    def route(self) -> Mount:
        """Where both are found; clients that double a slash, as a page of the one document does, find them too."""
        mount = Mount("/billing/api", app=self)
        mount.path_regex = _PATH
        return mount

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
        first = next((part for part in path.split("/") if part), "")
        surface = self._by_version if not first or _VERSION.fullmatch(first) else self._by_function
        await surface(scope, receive, send)
