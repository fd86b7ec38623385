"""`/recordings/{token}`: the file that a link stands for, whole or in ranges, for who has the link while it works."""

from __future__ import annotations

from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from rating_engine.api.common.client import address_of, is_secure
from rating_engine.domain.errors import RatingEngineError
from rating_engine.services.catalogue import Services
from rating_engine.services.parties.access import Door
from rating_engine.services.recordings import PATH

HEADERS: Final = {
    "cache-control": "private, no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
MEDIA: Final = {".wav": "audio/wav", ".tif": "image/tiff"}

_log = structlog.get_logger(__name__)


def recording_routes(services: Services) -> list[BaseRoute]:
    """Where they are found."""

    async def serve(request: Request) -> Response:
        door = Door(PATH, address_of(request), is_secure(request))
        try:
            limited = await services.access.limit_address(door)
            if limited is not None:
                return _said("ask again later", 429, {"retry-after": str(limited.seconds)})
            path = await services.recording_links.open(request.path_params["token"])
        except RatingEngineError as error:
            _log.warning("recording_unavailable", problem=str(error))
            return _said("try again later", 503)
        if path is None:
            return _said("the link does not work, or no more", 404)
        return FileResponse(path, headers=HEADERS, media_type=MEDIA[path.suffix], filename=path.name)

    return [Route(f"/{PATH}/{{token}}", serve, methods=["GET"])]


def _said(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, {**HEADERS, **(headers or {})})
