"""The tenant billing REST API: each operation of the contract read, asked of the services, and answered.

The order of the checks: 401, 404 of the path, 405, 415, 413, 400, then what the services say (403, 404, 409, 503).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from rating_engine.api.tenant import beyond, webhooks
from rating_engine.api.tenant.answers import (
    answer_to,
    billing_json,
    error_answer,
    json_answer,
    rate_json,
    rates_file,
)
from rating_engine.api.tenant.contract import (
    BILLING,
    MAX_BODY,
    RATE,
    openapi_of,
)
from rating_engine.api.tenant.door import PREFIX, TokenDoor
from rating_engine.api.tenant.reading import (
    BodyTooLarge,
    UnsupportedBody,
    check_required,
    id_of,
    read_fields,
    read_id,
    read_query,
)
from rating_engine.domain.errors import NotFound, RatingEngineError
from rating_engine.domain.tenant import BillingChanges, CallRateChanges, NewCallRate
from rating_engine.services.catalogue import Services, UseCases

STATIC: Final = Path(__file__).with_name("static")  # Swagger UI, so that the page works where nothing else is reached

Handler = Callable[[UseCases, Request], Awaitable[Response]]


async def show_billing(use: UseCases, _request: Request) -> Response:
    """How the tenant's calls are charged."""
    return json_answer(billing_json(await use.tenant_billing.show()))


async def change_billing(use: UseCases, request: Request) -> Response:
    """Set what the body has; 200 without content."""
    await use.tenant_billing.change(BillingChanges(**await read_fields(request, BILLING)))
    return Response()


async def list_rates(use: UseCases, request: Request) -> Response:
    """How many rates match, and a page of them."""
    count, rates = await use.call_rates.search(read_query(request.query_params))
    return json_answer({"count": count, "items": [rate_json(rate) for rate in rates]})


async def create_rate(use: UseCases, request: Request) -> Response:
    """One more rate; its id."""
    values = await read_fields(request, RATE)
    check_required(RATE, values)
    added = await use.call_rates.add(NewCallRate(**values))
    return json_answer({"id": id_of(added.rate_id)})


async def export_rates(use: UseCases, _request: Request) -> Response:
    """Every rate as CSV."""
    return rates_file(await use.call_rates.export())


async def show_rate(use: UseCases, request: Request) -> Response:
    """One rate."""
    return json_answer(rate_json(await use.call_rates.show(_id(request))))


async def change_rate(use: UseCases, request: Request) -> Response:
    """Set what the body has; 200 without content."""
    changes = CallRateChanges(**await read_fields(request, RATE))
    await use.call_rates.change(_id(request), changes)
    return Response()


async def destroy_rate(use: UseCases, request: Request) -> Response:
    """Forget a rate; 204."""
    await use.call_rates.remove(_id(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)


HANDLERS: Final[dict[str, Handler]] = {
    each.__name__: each
    for each in (
        *(show_billing, change_billing, list_rates, create_rate),
        *(export_rates, show_rate, change_rate, destroy_rate),
        *(beyond.list_accounts, beyond.show_account, beyond.top_up, beyond.list_lines),
        *(beyond.list_live, beyond.list_calls, beyond.export_calls),
        *(beyond.hang_up_call, beyond.quote_call, beyond.list_invoices, beyond.print_invoice),
        *(webhooks.list_webhooks, webhooks.create_webhook, webhooks.rotate_webhook, webhooks.destroy_webhook),
        *(webhooks.list_deliveries, webhooks.redeliver),
    )
}


def tenant_routes(services: Services) -> Mount:
    """The surface under its prefix."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    # A fixed path is no id, whatever the method.
    app.add_api_route("/call_rates/export", _refuse_method, methods=["POST"])
    for operation in beyond.ALL_OPERATIONS:
        app.add_api_route(
            operation.path,
            _endpoint(services, HANDLERS[operation.name]),
            methods=[operation.method],
            response_class=Response,
            status_code=operation.status,
            openapi_extra=openapi_of(operation),
        )
    app.add_api_route("/openapi.json", _show_document, methods=["GET"])
    app.add_api_route("/docs", _show_docs, methods=["GET"])
    app.mount("/docs", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _say_http_error)
    app.add_exception_handler(Exception, _say_internal)
    mount = Mount(PREFIX, TokenDoor(app, services.access))
    mount.path_regex = re.compile(f"^{PREFIX}/(?P<path>.*)\\Z", re.DOTALL)  # a line break belongs to a path too
    return mount


def _endpoint(services: Services, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handler(services.of(request.state.principal), request)
        except UnsupportedBody:
            return error_answer(415, "unsupported_media_type", "the body has to be application/json in UTF-8")
        except BodyTooLarge:
            return error_answer(413, "too_large", f"the body may have {MAX_BODY:,} bytes at most")
        except RatingEngineError as error:
            return answer_to(error)

    return answer


def _id(request: Request) -> int:
    rate_id = read_id(request.path_params["id"])
    if rate_id is None:
        raise NotFound("there is no such call rate", field="id")
    return rate_id


async def _refuse_method(request: Request) -> Response:
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


async def _show_document(request: Request) -> Response:
    return json_answer(beyond.whole_document())


async def _show_docs(request: Request) -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url=f"{PREFIX}/openapi.json",
        title="Tenant billing REST",
        swagger_js_url=f"{PREFIX}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{PREFIX}/docs/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"validatorUrl": None},  # its badge would tell somebody else where this engine is
    )


async def _say_http_error(request: Request, error: Exception) -> Response:
    """What no route answers: another path, or another method of one."""
    assert isinstance(error, HTTPException)
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return error_answer(error.status_code, "not_found", "there is no such path")
    allowed = sorted({each.method for each in beyond.ALL_OPERATIONS if _is_at(request.url.path, each.path)} or {"GET"})
    words = ", ".join(["GET", "HEAD", *allowed[1:]] if allowed[0] == "GET" else allowed)
    return error_answer(405, "method_not_allowed", f"{words} is what there is here", headers={"allow": words})


def _is_at(path: str, template: str) -> bool:
    parts, wanted = path.removeprefix(PREFIX).split("/"), template.split("/")
    if len(parts) != len(wanted) or (parts[-1] == "export" and wanted[-1] == "{id}"):
        return False
    return all(part == each or each.startswith("{") for part, each in zip(parts, wanted, strict=True))


async def _say_internal(request: Request, error: Exception) -> Response:
    """The error itself is for the log (api/app), and nobody else's."""
    return error_answer(500, "internal", "something went wrong here; it is in the log")
