"""Numbering plans and aliases: as operators set them, as the call path reads them, and told stale when they change."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound
from rating_engine.rating.numbering import NumberingPlan, destination_of
from rating_engine.storage.numbers import aliases, numbering
from rating_engine.storage.numbers.numbering import load_numbering
from rating_engine.storage.parties.offline import offline_accounts
from rating_engine.storage.postgres.pool import Database
from tests.support.operators import Accounts, Numbering, Options, Tariffs
from tests.support.world import add_account, publish_deck, subscriber_by_login

GERMAN = {"national_prefix": "0", "country_code": "49"}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    for login in ("1001", "1002"):
        await add_account(database, login, postpaid=True, overdraft=None)
    yield database
    await database.close()


async def test_a_plan_is_read_as_it_was_set(database):
    plans = Numbering(database)
    await plans.add("germany", GERMAN, ["99#", "98#", "99#"])
    await plans.add("plain", {})
    await plans.rewrite("germany", "110", "+49110")
    await plans.rewrite("germany", "#31#", "")
    await plans.set("plain", {"international_prefix": "011"})

    found, everybodys = await load_numbering(database)

    assert found == {
        "germany": NumberingPlan(
            "germany", "00", "0", "49", ("99#", "98#"), {"110": "+49110", "#31#": ""},
        ),
        "plain": NumberingPlan("plain", "011"),
    }  # fmt: skip
    assert everybodys == {}
    assert destination_of("99#030 1234", found["germany"]) == "49301234"
    assert destination_of("110", found["germany"]) == "49110"
    assert await plans.list() == found


async def test_a_setting_that_is_not_given_stays(database):
    plans = Numbering(database)
    await plans.add("germany", GERMAN, ["99#"])
    await plans.rewrite("germany", "110", "+49110")

    await plans.set("germany", {"country_code": "43"})
    await plans.rewrite("germany", "110", "+43133")

    assert (await plans.list())["germany"] == NumberingPlan("germany", "00", "0", "43", ("99#",), {"110": "+43133"})
    await plans.set("germany", {}, [])
    await plans.rewrite("germany", "110", None)
    assert (await plans.list())["germany"] == NumberingPlan("germany", "00", "0", "43")


@pytest.mark.parametrize(
    ("field", "settings", "technical"),
    [
        ("international_prefix", {"international_prefix": "+"}, None),
        ("national_prefix", {"national_prefix": "123456789", "country_code": "49"}, None),
        ("country_code", {"country_code": "12345"}, None),
        ("country_code", {"national_prefix": "0"}, None),
        ("technical_prefix", {}, ["+49"]),
        ("technical_prefix", {}, [""]),
        ("technical_prefix", {}, [f"{number}" for number in range(101)]),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_by_name(database, field, settings, technical):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await Numbering(database).add("germany", settings, technical)
    await Numbering(database).add("germany", {})
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await Numbering(database).set("germany", settings, technical)
    assert (await Numbering(database).list())["germany"] == NumberingPlan("germany")


async def test_what_cannot_be_done_with_plans_is_said(database, monkeypatch):
    plans = Numbering(database)
    await plans.add("germany", GERMAN)
    with pytest.raises(AlreadyExists, match="exists already") as refused:
        await plans.add("germany", {})
    assert refused.value.hint is Hint.CHANGE_NUMBERING_PLAN
    for what in (plans.set("nix", {}), plans.rewrite("nix", "1", "2"), plans.remove("nix")):
        with pytest.raises(NotFound, match="numbering plan 'nix' does not exist"):
            await what
    for field, arguments in {"prefix": ("germany", "a", "1"), "replacement": ("germany", "1", "*")}.items():
        with pytest.raises(InvalidRequest, match=f"^{field}: "):
            await plans.rewrite(*arguments)
    with pytest.raises(NotFound, match="rewrites no 7"):
        await plans.rewrite("germany", "7", None)
    monkeypatch.setattr(numbering, "MAX_REWRITES", 1)
    await plans.rewrite("germany", "1", "2")
    with pytest.raises(InvalidRequest, match="may have 1 rewrites"):
        await plans.rewrite("germany", "2", "3")


async def test_a_plan_is_given_to_an_account_and_goes_with_its_subscribers(database):
    await Numbering(database).add("germany", GERMAN)
    before = await subscriber_by_login(database, "1001")

    state = await Accounts(database).change("1001", {"numbering_plan": "germany"})

    after = await subscriber_by_login(database, "1001")
    assert state.numbering_plan == "germany"
    assert (before.numbering_plan, after.numbering_plan) == (None, "germany")
    assert after.version > before.version
    with pytest.raises(InvalidRequest, match=r"^plan: 'germany' is the plan of 1 of the accounts"):
        await Numbering(database).remove("germany")
    with pytest.raises(InvalidRequest, match=r"^numbering_plan: 'nix' does not exist$") as refused:
        await Accounts(database).change("1001", {"numbering_plan": "nix"})
    assert refused.value.hint is Hint.SEE_NUMBERING_PLANS
    assert (await Accounts(database).change("1001", {"numbering_plan": "none"})).numbering_plan is None
    await Numbering(database).remove("germany")
    assert await Numbering(database).list() == {}


async def test_an_alias_is_everybodys_or_goes_with_its_subscriber(database):
    plans = Numbering(database)
    before = await subscriber_by_login(database, "1001")
    await plans.set_alias("*1", "+4930111")
    await plans.set_alias("*1", "4930222", "1001")
    await plans.set_alias("*1", "4930333", "1001")
    await plans.set_alias("2", "4930444", "1001")

    first, second = [await subscriber_by_login(database, login) for login in ("1001", "1002")]

    assert (await load_numbering(database))[1] == {"*1": "+4930111"}
    assert (dict(first.aliases), dict(second.aliases)) == ({"*1": "4930333", "2": "4930444"}, {})
    assert first.version > before.version
    assert await plans.aliases() == [
        (None, "*1", "+4930111"), ("1001", "*1", "4930333"), ("1001", "2", "4930444"),
    ]  # fmt: skip
    assert await plans.aliases("1002") == []


async def test_an_alias_is_removed_from_whom_it_is_of(database):
    plans = Numbering(database)
    await plans.set_alias("1", "4930111")
    await plans.set_alias("1", "4930222", "1001")

    await plans.remove_alias("1")

    assert await plans.aliases() == [("1001", "1", "4930222")]
    for what in (plans.remove_alias("1"), plans.remove_alias("2", "1001"), plans.remove_alias("1", "nobody")):
        with pytest.raises(NotFound):
            await what


async def test_a_login_has_so_many_aliases_and_no_more(database, monkeypatch):
    monkeypatch.setattr(aliases, "MAX_OWN_ALIASES", 2)
    plans = Numbering(database)
    for alias in ("1", "2", "2"):
        await plans.set_alias(alias, "4930111", "1001")

    with pytest.raises(InvalidRequest, match=r"^alias: '1001' may have 2 aliases"):
        await plans.set_alias("3", "4930111", "1001")
    await plans.set_alias("3", "4930111", "1002")
    await plans.set_alias("3", "4930111")
    with pytest.raises(NotFound, match="login 'nobody'"):
        await plans.set_alias("3", "4930111", "nobody")


@pytest.mark.parametrize(
    ("field", "alias", "destination"),
    [("alias", "a", "1"), ("alias", "", "1"), ("destination", "1", ""), ("destination", "1", "*2")],
)
async def test_an_alias_that_cannot_be_is_refused_by_name(database, field, alias, destination):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await Numbering(database).set_alias(alias, destination)


async def test_what_is_known_of_a_login_while_the_database_is_away_is_what_the_call_path_reads(database):
    await Numbering(database).add("germany", GERMAN)
    await Numbering(database).set_alias("1", "4930222", "1001")
    await Accounts(database).change("1001", {"numbering_plan": "germany"})
    await Tariffs(database).add("weekend", {"is_option": "yes"})
    await Options(database).grant("1001", "weekend")

    known = (await offline_accounts(database, ["1001"]))["1001"].subscriber

    assert known == await subscriber_by_login(database, "1001")
    assert (known.numbering_plan, dict(known.aliases), len(known.options)) == ("germany", {"1": "4930222"}, 1)


async def test_every_change_of_numbering_is_announced(database, database_url):
    listener = await asyncpg.connect(database_url)
    heard: list[str] = []
    await listener.add_listener("rating_engine", lambda *said: heard.append(str(said[3])))
    plans = Numbering(database)
    for change in (
        plans.add("germany", GERMAN),
        plans.set("germany", {}),
        plans.rewrite("germany", "1", "2"),
        plans.rewrite("germany", "1", None),
        plans.set_alias("1", "2"),
        plans.remove_alias("1"),
        plans.remove("germany"),
    ):
        heard.clear()
        await change
        await listener.execute("NOTIFY rating_engine, 'end'")
        assert "numbering" in heard
    heard.clear()
    await plans.set_alias("1", "2", "1001")
    await listener.execute("NOTIFY rating_engine, 'end'")
    await listener.close()
    assert "subscriber 1001" in heard
