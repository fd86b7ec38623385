"""What a function of the document is, as data: names, parameters, what its hash covers, who may call it, its errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rating_engine.domain.permission import Permission


class Source(StrEnum):
    """Where a function is from: described by the project's document, restated from the vendor's public pages (which are
    not binding), or inferred from its name and its line in the index.
    """

    DOCUMENTED = "documented"
    RESTATED = "restated"
    INFERRED = "inferred"


class Role(StrEnum):
    """Who asks, in the document's words."""

    ADMIN = "admin"
    RESELLER = "reseller"
    ACCOUNTANT = "accountant"
    USER = "user"


ALL: Final = frozenset(Role)
MANAGERS: Final = ALL - {Role.USER}
EACH: Final = ("*",)  # of `hashed`: all of its parameters
ADMIN_ONLY: Final = frozenset({Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `default`: as the document's data has it. `also`: other names that it is given by."""

    name: str
    required: bool = False
    default: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """One entry of the index.

    `hashed`: the parameters whose values its hash covers, in order; None: it takes no hash. `as_sent`: of them those
    alone that were sent. `also_hashed`: other forms that are right too; `lenient`: weaker ones, for the setting
    mor_lenient_hashes. `roles`: who may call it. `permission`: what an accountant needs in his group;
    `reseller_needs_it`: a reseller too. `in_path`: its one parameter that stands in the path. `by_post`: never by GET.
    `bare_errors`: of its errors those that are an element Error alone.
    """

    name: str
    source: Source
    parameters: tuple[Parameter, ...] = ()
    hashed: tuple[str, ...] | None = ()
    errors: tuple[str, ...] = ()
    older: tuple[str, ...] = ()
    as_sent: bool = False
    also_hashed: tuple[tuple[str, ...], ...] = ()
    lenient: tuple[tuple[str, ...], ...] = ()
    roles: frozenset[Role] = ALL
    permission: Permission | None = None
    reseller_needs_it: bool = False
    in_path: str | None = None
    by_post: bool = False
    moves_money: bool = False
    bare_errors: tuple[str, ...] = ()
