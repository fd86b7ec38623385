"""How the command line says what is wrong: fields by their flags, and hints as the command that mends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.domain.errors import Hint, InvalidRequest, RatingEngineError

# Where a flag is called otherwise than its field. Of all others it is --field-name.
FLAGS: Final[Mapping[str, str]] = {
    "effective_from": "from",
    "effective_to": "to",
    "since": "from",
    "starts": "from",
    "ends": "to",
    "calls_from": "from",
    "calls_to": "to",
    "is_option": "option",
    "sources": "from",
    "methods": "method",
    "scopes": "scope",
    "default_user": "user",
    "lasts": "hours",
    "target": "ADDRESS",
    "holiday_calendar": "holidays",
}
HINTS: Final[Mapping[Hint, str]] = {
    Hint.RUN_MIGRATE: "run: rating-engine migrate",
    Hint.SEE_TARIFFS: "see: rating-engine tariff list",
    Hint.SEE_DECKS: "see: rating-engine rates list",
    Hint.SEE_ROUTES: "see: rating-engine routes list",
    Hint.SEE_VERSIONS: "see: rating-engine rates list --versions",
    Hint.SEE_PACKAGES: "see: rating-engine package list {tariff}",
    Hint.SEE_DIRECTION_GROUPS: "see: rating-engine direction-group list",
    Hint.SEE_BANDS: "see: rating-engine tariff bands {tariff}",
    Hint.SEE_HOLIDAYS: "see: rating-engine holidays list {calendar}",
    Hint.SEE_OPTIONS: "see: rating-engine option list {login}",
    Hint.SEE_ALIASES: "see: rating-engine alias list",
    Hint.SEE_NUMBERING_PLANS: "see: rating-engine numbering list",
    Hint.SEE_EXCHANGE_RATES: "see: rating-engine exchange list",
    Hint.SEE_RERATES: "see: rating-engine rerate list",
    Hint.SEE_USERS: "see: rating-engine user list",
    Hint.SEE_KEYS: "see: rating-engine key list",
    Hint.SEE_EXCHANGES: "see: rating-engine exchange servers",
    Hint.SEE_BANS: "see: rating-engine ban list",
    Hint.SEE_DIDS: "see: rating-engine did list",
    Hint.SEE_SERVICES: "see: rating-engine service list",
    Hint.SEE_SUSPICIOUS: "see: rating-engine calls --suspicious",
    Hint.NO_RATES: "say first: rating-engine rates import FILE --tariff {tariff}",
    Hint.NO_EXCHANGE_RATE: "say first: rating-engine exchange set {currency_from} {currency_to} RATE",
    Hint.NO_HOLIDAYS: "say first: rating-engine holidays add {calendar} 2026-12-25",
    Hint.NO_DIRECTION: "to make it one say: rating-engine direction {direction}",
    Hint.EMPTY_DIRECTION_GROUP: "say first: rating-engine direction-group set {group} CODE",
    Hint.GRANT_OPTION: "say: rating-engine option grant {login} {tariff}",
    Hint.SWITCH_TARIFF: "say: rating-engine account tariff {login} {tariff}, or first: "
    "rating-engine tariff set {tariff} --option yes",
    Hint.TOP_UP: "say first: rating-engine account topup {login} AMOUNT",
    Hint.END_CALLS: "say first: rating-engine account block {login}, and wait until they have ended",
    Hint.SETTLE_CREDIT: "say what becomes of it: rating-engine account close {login} --paid-out REFERENCE, or"
    " --written-off REASON",
    Hint.SETTLE_DEBT: "say first: rating-engine account topup {login} AMOUNT, or say --written-off REASON",
    Hint.CHANGE_TARIFF: "change it by: rating-engine tariff set {tariff}",
    Hint.CHANGE_MULTIPLIER: "say: rating-engine tariff set {tariff} --multiplier {multiplier}",
    Hint.CHANGE_NUMBERING_PLAN: "change it by: rating-engine numbering set {plan}",
    Hint.TAKE_NUMBERING_PLAN_AWAY: "say first for each: rating-engine account set LOGIN --numbering-plan none",
    Hint.ROLL_BACK: "say: rating-engine rates rollback {tariff}",
    Hint.RESUME_RERATE: "say first: rating-engine rerate resume {rerate_id}",
    Hint.DISCARD_RERATE: "say: rating-engine rerate discard {rerate_id}, and begin anew",
}


def problem_of(error: RatingEngineError) -> str:
    """What is wrong, in one line: the field as a flag, the problem, and the command that mends it."""
    text = str(error)
    if isinstance(error, InvalidRequest):
        text = f"{FLAGS.get(error.field, error.field)}: {error.problem}"
    return text if error.hint is None else f"{text}; {hint_words(error.hint, error.about)}"


def hint_words(hint: Hint, about: Mapping[str, str] = {}) -> str:
    """The command that mends it."""
    return HINTS[hint].format_map(about)
