"""Broken requests and broken dependencies. Business answers are return values (see `outcomes`).

Every error has a stable `code` and says whether the same request may succeed later (`retryable`). Where one field of
the request is at fault it is named (`field`); where something else has to be done first, `hint` says what, and `about`
of which things. How that is done is for each surface to say: the command line by a command, a page by a link.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class Hint(StrEnum):
    """What mends a refused request. In brackets the names that `about` has."""

    RUN_MIGRATE = "run_migrate"
    SEE_TARIFFS = "see_tariffs"
    SEE_DECKS = "see_decks"
    SEE_ROUTES = "see_routes"
    SEE_VERSIONS = "see_versions"
    SEE_PACKAGES = "see_packages"  # [tariff]
    SEE_DIRECTION_GROUPS = "see_direction_groups"
    SEE_BANDS = "see_bands"  # [tariff]
    SEE_HOLIDAYS = "see_holidays"  # [calendar]
    SEE_OPTIONS = "see_options"  # [login]
    SEE_ALIASES = "see_aliases"
    SEE_NUMBERING_PLANS = "see_numbering_plans"
    SEE_EXCHANGE_RATES = "see_exchange_rates"
    SEE_RERATES = "see_rerates"
    SEE_USERS = "see_users"
    SEE_KEYS = "see_keys"
    SEE_BANS = "see_bans"
    SEE_DIDS = "see_dids"
    SEE_SERVICES = "see_services"
    SEE_EXCHANGES = "see_exchanges"
    SEE_SUSPICIOUS = "see_suspicious"
    NO_RATES = "no_rates"  # [tariff]
    NO_EXCHANGE_RATE = "no_exchange_rate"  # [currency_from, currency_to]
    NO_HOLIDAYS = "no_holidays"  # [calendar]
    NO_DIRECTION = "no_direction"  # [direction]
    EMPTY_DIRECTION_GROUP = "empty_direction_group"  # [group]
    GRANT_OPTION = "grant_option"  # [login, tariff]: it is an option
    SWITCH_TARIFF = "switch_tariff"  # [login, tariff]: it is no option
    TOP_UP = "top_up"  # [login]
    END_CALLS = "end_calls"  # [login]
    SETTLE_CREDIT = "settle_credit"  # [login]: what is above zero
    SETTLE_DEBT = "settle_debt"  # [login]: what is below zero
    CHANGE_TARIFF = "change_tariff"  # [tariff]: it is there
    CHANGE_MULTIPLIER = "change_multiplier"  # [tariff, multiplier]
    CHANGE_NUMBERING_PLAN = "change_numbering_plan"  # [plan]: it is there
    TAKE_NUMBERING_PLAN_AWAY = "take_numbering_plan_away"  # from each account
    ROLL_BACK = "roll_back"  # [tariff]
    RESUME_RERATE = "resume_rerate"  # [rerate_id]
    DISCARD_RERATE = "discard_rerate"  # [rerate_id]


class RatingEngineError(Exception):
    """Base of every error this package raises on purpose."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(
        self, problem: str = "", *, field: str | None = None, hint: Hint | None = None, about: Mapping[str, str] = {}
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field
        self.hint = hint
        self.about = about


class InvalidRequest(RatingEngineError):
    """A field of a request is missing or malformed; names the field and what was wrong."""

    code = "bad_request"
    field: str

    def __init__(self, field: str, problem: str, *, hint: Hint | None = None, about: Mapping[str, str] = {}) -> None:
        super().__init__(problem, field=field, hint=hint, about=about)

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class NotFound(RatingEngineError):
    """The named thing does not exist."""

    code = "not_found"


class AlreadyExists(RatingEngineError):
    """The name is taken, or the reference was used with other content."""

    code = "already_exists"


class NotAllowed(RatingEngineError):
    """Who asks may not do this at all: its level, its key's scopes, or what it is say no."""

    code = "not_allowed"


class NotYours(RatingEngineError):
    """It is there, and belongs to somebody who does not belong to who asks."""

    code = "not_yours"


class Refused(RatingEngineError):
    """What is there does not allow it now; the hint says what has to be done first. Nothing was changed."""

    code = "refused"


class OrderFailed(RatingEngineError):
    """A number that was ordered is not to be had; nothing stays taken for it."""

    code = "order_failed"


class LeadsBack(RatingEngineError):
    """Rules of calls lead back to where they began, or through too many numbers."""

    code = "leads_back"


class AccountClosed(RatingEngineError):
    """The account was closed for good: it is shown, and changes no more."""

    code = "account_closed"


class Unavailable(RatingEngineError):
    """A dependency (PostgreSQL) did not answer in time; nothing is known to have been done."""

    code = "unavailable"
    retryable = True


class Overloaded(RatingEngineError):
    """A bounded queue is full; nothing was done."""

    code = "overloaded"
    retryable = True


class AccountLocked(Overloaded):
    """Another transaction holds the account for too long, such as one an operator left open; nothing was done."""

    code = "account_locked"
