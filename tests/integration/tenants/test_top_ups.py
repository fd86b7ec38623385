"""A tenant moves money of its company's account to its lines by REST, once by a key, and makes none."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

from rating_engine.domain.principal import OPERATOR
from rating_engine.services.doctor import ledger_balanced
from tests.support.engines import engine_on
from tests.support.tenants import client_of, make_tenant

SCOPES = ("tenant_billing:write", "money:write")


async def test_money_of_the_company_is_moved_to_a_line_once_by_a_key(database_url):
    async with engine_on(database_url) as engine:
        use = engine.services.of(OPERATOR)
        token = await make_tenant(engine, "acme", "101", "102", scopes=SCOPES)
        await make_tenant(engine, "other", "201")
        await use.accounts.top_up("101", Decimal(20))  # the company's: the first line's

        async with client_of(engine, token) as client:

            async def asked(login: str, **body: object) -> tuple[int, dict[str, object]]:
                answer = await client.post(f"/api/accounts/{login}/top-ups", json=body)
                return answer.status_code, answer.json()

            same = await asked("102", amount=5, idempotency_key="early")
            assert (await client.post("/api/tenant/billing", json={"account": "USER", "type": "ONLINE"})).is_success
            many = await asyncio.gather(*(asked("102", amount=5, idempotency_key="a") for _ in range(8)))
            other = await asked("102", amount=6, idempotency_key="a")
            refused = {
                "much": await asked("102", amount=15.01, idempotency_key="b"),
                "zero": await asked("102", amount=0, idempotency_key="c"),
                "below": await asked("102", amount=-1, idempotency_key="d"),
                "foreign": await asked("201", amount=1, idempotency_key="e"),
                "nowhere": await asked("999", amount=1, idempotency_key="f"),
                "keyless": await asked("102", amount=1),
                "exact": await asked("102", amount=0.0000001, idempotency_key="g"),
                "empty": await asked("102", amount=1, idempotency_key=""),
                "long": await asked("102", amount=1, idempotency_key="h" * 151),
                "odd": await asked("102", amount=1, idempotency_key="\0"),
            }

        assert (same[0], same[1]["error"]["field"]) == (400, "login")
        assert Counter(status for status, _ in many) == {200: 8}
        assert Counter(body["repeated"] for _, body in many) == {False: 1, True: 7}
        assert len({body["transfer"] for _, body in many}) == 1
        assert other[0] == 409
        assert {name: status for name, (status, _) in refused.items()} == {
            "much": 409, "zero": 400, "below": 400, "foreign": 404, "nowhere": 404, "keyless": 400, "exact": 400,
            "empty": 400, "long": 400, "odd": 400,
        }  # fmt: skip
        assert {refused[name][1]["error"]["field"] for name in ("keyless", "empty", "long", "odd")} == {
            "idempotency_key"
        }
        assert refused["foreign"] == refused["nowhere"]  # nobody hears that it is somebody else's
        assert refused["much"][1]["error"]["code"] == "insufficient_money"
        assert [(await use.accounts.show(login)).balance for login in ("101", "102")] == [15, 5]
        assert await ledger_balanced(engine.office) == []
