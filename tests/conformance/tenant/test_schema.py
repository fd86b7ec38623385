"""Whatever requests the OpenAPI document allows, or nearly allows, are answered as it says: no 500, no other form."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from rating_engine.api.tenant.contract import document
from tests.support.engines import engine_on
from tests.support.servers import SessionServers
from tests.support.tenants import make_tenant

# What is asked of every answer. Left out, and why:
# - negative_data_rejection: fields that are not known, a number for a text parameter and a body without its optional
#   fields are taken as decided, which a generator of "wrong" requests does not know.
# - positive_data_acceptance: a text that is a prefix, filter or order is more than a string, and prefixes are taken once.
# - ignored_auth, which sends tokens that are wrong, and so gets the address of the tests banned, as it should:
#   test_tenant_http.py has these cases.
# - use_after_free, ensure_resource_availability: of links, which the document has none of.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
