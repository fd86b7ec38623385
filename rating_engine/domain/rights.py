"""What a right is: the least level, the scope, and how the arguments of a use case name whose things it is about.

"Belongs to you" means: of the tree below the asker's realm. `Right.concerns` says how the arguments of a use case name
whose it is (`login`, `new.owner`); the answer to each is looked up by services/parties/guard.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal


class Named(StrEnum):
    """What an argument names: a line by its login, a party, a key; an account, a number, a paper by its own number."""

    LINE = "line"
    PARTY = "party"
    KEY = "key"
    TARIFF = "tariff"  # by its number
    ROUTE = "route"  # by its number
    NUMBER = "number"
    RULES = "rules"  # of a number or a line, by the name of their list
    ACCOUNT = "account"
    CARD_GROUP = "card group"  # by its number
    CARD = "card"  # by its number in lists, not the one on it
    INVOICE = "invoice"
    PAYMENT = "payment"
    CREDIT_NOTE = "credit_note"
    SERVICE = "service"  # by its number, as those below
    SUBSCRIPTION = "subscription"


class Otherwise(StrEnum):
    """What a use case is about where its argument names nobody."""

    ALL = "all"  # everybody's: for who sees all
    OWN = "own"  # what is the asker's; the use case goes by its realm itself


@dataclass(frozen=True, slots=True)
class Concern:
    """Whose things: of whom the argument at `path` names. `below`: not the asker's own, which others change."""

    kind: Named
    path: str
    below: bool = False
    otherwise: Otherwise = Otherwise.ALL


@dataclass(frozen=True, slots=True)
class Right:
    """What one use case takes. No `concerns`, and not `own`: it is about the whole installation.

    `money`: it moves money. `admins_only`: arguments that only an administrator may give, and below one have to be
    absent, None or 0. `own_tariff`: arguments that below an administrator can only be the asker's own
    tariff, or for others one that it made, where it pays for their calls.
    """

    scope: str
    least: Level
    concerns: tuple[Concern, ...] = ()
    own: bool = False
    money: bool = False
    admins_only: tuple[str, ...] = ()
    own_tariff: tuple[str, ...] = ()


def refusal_of(principal: Principal, right: Right) -> str | None:
    """Why an asker may not do this at all, whoever it is about; None: it may."""
    if principal.level < right.least:
        return f"takes level {int(right.least)}"
    if principal.scopes is not None and not _covers(principal.scopes, right.scope):
        return f"takes the scope {right.scope}"
    if right.money and not principal.moves_money:
        return "moves money, which an accountant does not"
    if not right.concerns and not right.own and not principal.sees_all:
        return "is about the whole installation"
    return None


def _covers(scopes: frozenset[str], wanted: str) -> bool:
    """Who may write may read."""
    noun, _, what = wanted.partition(":")
    return wanted in scopes or (what == "read" and f"{noun}:write" in scopes)


def line(path: str = "login", *, below: bool = False, otherwise: Otherwise = Otherwise.ALL) -> Concern:
    """A line, by its login."""
    return Concern(Named.LINE, path, below, otherwise)


def party(path: str = "who", *, below: bool = False, otherwise: Otherwise = Otherwise.OWN) -> Concern:
    """A party, by its login or number."""
    return Concern(Named.PARTY, path, below, otherwise)


def tariff(path: str = "tariff_id") -> Concern:
    """A tariff, by its number."""
    return Concern(Named.TARIFF, path)


def route(path: str = "route_id") -> Concern:
    """A route, by its number."""
    return Concern(Named.ROUTE, path)


def reads(scope: str, *concerns: Concern, least: Level = Level.SIMPLE_USER, own: bool = False) -> Right:
    """What is asked."""
    return Right(f"{scope}:read", least, concerns, own)


def writes(scope: str, *concerns: Concern, least: Level = Level.RESELLER) -> Right:
    """What is changed, by who has others below."""
    return Right(f"{scope}:write", least, concerns)


def system(scope: str, what: str = "write") -> Right:
    """About the whole installation, for who manages it."""
    return Right(f"{scope}:{what}", Level.ADMIN)
