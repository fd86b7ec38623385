"""The table of who may do what: every use case is in it, and each entry is about arguments that there are."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rating_engine.domain.access import ACTIONS
from rating_engine.domain.party import Level
from rating_engine.domain.principal import NOBODYS, OPERATOR, Principal
from rating_engine.domain.rights import refusal_of
from rating_engine.services.catalogue import UseCases

READS = {"page", "show", "statement", "subscribers", "holidays", "windows", "groups", "usage", "aliases", "loads"}
USER = Principal("anna", Level.USER, "test", party_id=7, realm=7)
RESELLER = Principal("firm", Level.RESELLER, "test", party_id=5, realm=5)
ADMIN = Principal("admin", Level.ADMIN, "test", party_id=3)
ACCOUNTANT = replace(ADMIN, party="books", moves_money=False)
NOBODY = Principal("firm", Level.ANYBODY, "test", realm=NOBODYS)


def use_cases() -> Iterator[tuple[str, typing.Any]]:
    """Every use case by its name."""
    for field, kind in typing.get_type_hints(UseCases).items():
        for name, method in inspect.getmembers(kind, callable):
            if not name.startswith("_"):
                yield f"{field}.{name}", method


METHODS = dict(use_cases())
MOVES = {
    "transfers", "codes", "cards", "card_sales", "dids", "subscriptions", "tariff_offers", "payments", "credit_notes"
}  # fmt: skip


def test_every_use_case_has_an_entry_and_every_entry_a_use_case():
    assert ACTIONS.keys() == METHODS.keys()


@pytest.mark.parametrize("action", ACTIONS)
def test_an_entry_names_arguments_that_there_are(action):
    right, method = ACTIONS[action], METHODS[action]
    hints = typing.get_type_hints(method)
    paths = [concern.path for concern in right.concerns] + [*right.admins_only, *right.own_tariff]

    for path in paths:
        argument, _, field = path.partition(".")
        assert argument in inspect.signature(method).parameters, path
        if field:
            known = {each.name for each in dataclasses.fields(hints[argument])} | set(dir(hints[argument]))
            assert field in known, path
    noun, _, what = right.scope.partition(":")
    assert noun.isidentifier()
    assert what in ("read", "write")
    assert what == "read" or action.partition(".")[2] not in READS


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_not_asynchronous_is_about_the_whole_installation(action):
    """The question whose something is can only be awaited."""
    assert inspect.iscoroutinefunction(METHODS[action]) or not ACTIONS[action].concerns


@pytest.mark.parametrize("action", ACTIONS)
def test_nobody_may_do_but_what_is_for_anybody_and_the_whole_is_for_who_sees_all(action):
    right = ACTIONS[action]
    about_all = not right.concerns and not right.own

    assert (refusal_of(NOBODY, right) is not None) == (right.least > Level.ANYBODY)
    for asker in (USER, RESELLER):
        assert not about_all or refusal_of(asker, right) is not None
    assert refusal_of(replace(ADMIN, level=Level.ROOT_ADMIN), right) is None
    assert refusal_of(OPERATOR, right) is None
    assert (refusal_of(ACCOUNTANT, right) is not None) == (right.money or right.least > Level.ADMIN)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_key_does_what_its_scopes_say_and_who_may_write_may_read(action):
    right = ACTIONS[action]
    noun = right.scope.partition(":")[0]
    asking = replace(ADMIN, level=Level.ROOT_ADMIN)

    assert refusal_of(replace(asking, scopes=frozenset({right.scope})), right) is None
    assert refusal_of(replace(asking, scopes=frozenset({f"{noun}:write"})), right) is None
    assert refusal_of(replace(asking, scopes=frozenset({"elsewhere:write"})), right) is not None
    only_reads = refusal_of(replace(asking, scopes=frozenset({f"{noun}:read"})), right)
    assert (only_reads is None) == right.scope.endswith(":read")


@pytest.mark.parametrize("action", [name for name, right in ACTIONS.items() if right.least < Level.ADMIN])
def test_what_is_open_below_administrators_is_bound_to_what_is_theirs(action):
    """So a new use case is closed to them until somebody says whose things it is about."""
    right = ACTIONS[action]

    assert right.concerns or right.own
    assert not right.money or action.partition(".")[0] in MOVES  # from an account, which has it
