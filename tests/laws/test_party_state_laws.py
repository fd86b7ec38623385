"""What a line may call is the strictest of its party's state and those above, whatever changes at once."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.domain.account import NewAccount
from rating_engine.domain.party import NewParty, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties.accounts import Accounts
from rating_engine.services.parties.parties import Parties
from rating_engine.services.parties.passwords import Passwords
from rating_engine.storage.postgres.pool import Database
from tests.faults.simulation.quiet import no_logs
from tests.support.world import publish_deck

TREE = {"top": "system", "middle": "top", "low": "middle", "beside": "top", "alone": "system"}
LINES = {"1": "low", "2": "middle", "3": "beside", "4": "alone"}  # and whose they are at first
BUCKETS = 3
LEAVES = {"active": "all", "protected": "all", "external_blocked": "internal"}
STRICTNESS = ("none", "internal", "all")

STATES = st.tuples(st.sampled_from(sorted(TREE)), st.sampled_from(PartyState))
GIFTS = st.tuples(st.sampled_from(sorted(LINES)), st.sampled_from([*sorted(TREE), "system"]))
# What happens at once, and then at once again. Each party and line at most once at a time: which is last is not known.
AT_ONCE = st.tuples(
    st.lists(STATES, min_size=1, max_size=3, unique_by=lambda change: change[0]),
    st.lists(GIFTS, max_size=2, unique_by=lambda gift: gift[0]),
)
ROUNDS = st.lists(AT_ONCE, min_size=2, max_size=5)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rounds=ROUNDS)
def test_lines_carry_the_strictest_state_of_their_party_and_those_above(
    database_url: str, rounds: list[tuple[list[tuple[str, PartyState]], list[tuple[str, str]]]]
) -> None:
    with no_logs():
        asyncio.run(_change(database_url, rounds))


async def _change(url: str, rounds: list[tuple[list[tuple[str, PartyState]], list[tuple[str, str]]]]) -> None:
    database = Database(url)
    await database.open()
    parties, accounts = Parties(database, OPERATOR, Passwords()), Accounts(database, OPERATOR, buckets=BUCKETS)
    await _begin(database, parties, accounts)
    states = dict.fromkeys(TREE, "active") | {"system": "protected"}
    owners = dict(LINES)
    for changes, gifts in rounds:
        await asyncio.gather(
            *(parties.set_status(who, state) for who, state in changes),
            *(accounts.give(line, who) for line, who in gifts),
        )
        states |= {who: state.value for who, state in changes}
        owners |= dict(gifts)
        found = await database.fetch("SELECT login, calls::text FROM subscribers ORDER BY login")
        assert {row["login"]: row["calls"] for row in found} == {
            line: _strictest(states, who) for line, who in owners.items()
        }
    await database.close()


async def _begin(database: Database, parties: Parties, accounts: Accounts) -> None:
    """The tree and the lines, made by the first example; for the others all active, with their first owners again."""
    if not await database.fetchval("SELECT EXISTS (SELECT 1 FROM subscribers)"):
        await publish_deck(database)
        for login, owner in TREE.items():
            await parties.create(NewParty(login, PartyKind.RESELLER, owner=owner))
        for line in LINES:
            await accounts.create(NewAccount(line, "retail"))
        assert await database.fetchval("SELECT count(DISTINCT bucket) FROM logins") > 1
    await database.fetch("UPDATE parties SET status = 'active' WHERE party_id <> 1")
    for line, owner in LINES.items():
        await accounts.give(line, owner)


def _strictest(states: dict[str, str], party: str) -> str:
    chain = [party]
    while chain[-1] != "system":
        chain.append(TREE[chain[-1]])
    return min((LEAVES.get(states[who], "none") for who in chain), key=STRICTNESS.index)
