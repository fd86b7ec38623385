"""The codes of the document, and which of them each error of the engine is. Nothing else reaches who asks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.message import MessageDeclined
from rating_engine.domain.number_lists import LIST_CAUSES
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.refusal import Refusal


class Code(StrEnum):
    """Every error code of the document."""

    E_INCORRECT_API_VERSION = "E_INCORRECT_API_VERSION"
    E_UNKNOWN_METHOD = "E_UNKNOWN_METHOD"
    E_UNDEFINED_INSTRUCTION = "E_UNDEFINED_INSTRUCTION"
    E_INSUFFICIENT_ACCESS = "E_INSUFFICIENT_ACCESS"
    E_MISSING_ARGUMENT = "E_MISSING_ARGUMENT"
    E_INVALID_ARGUMENT = "E_INVALID_ARGUMENT"
    E_LUA_EXCEPTION = "E_LUA_EXCEPTION"
    E_AUTH_FAILED = "E_AUTH_FAILED"
    E_HAS_NO_ONE_TOLD_YOU_SHE_IS_NOT_BREATHING = "E_HAS_NO_ONE_TOLD_YOU_SHE_IS_NOT_BREATHING"
    E_USER_LOCKED = "E_USER_LOCKED"
    E_SQL_ERROR = "E_SQL_ERROR"
    E_NOT_EXIST = "E_NOT_EXIST"
    E_DOES_NOT_BELONG_TO_YOU = "E_DOES_NOT_BELONG_TO_YOU"
    E_DATA_ABORT = "E_DATA_ABORT"
    E_ASTERISK_QUERY_ERROR = "E_ASTERISK_QUERY_ERROR"
    E_SIP_SERVER_NOT_EXIST = "E_SIP_SERVER_NOT_EXIST"
    E_WRONG_EXTENSION = "E_WRONG_EXTENSION"
    E_TRANSACTIONS_LIMITED = "E_TRANSACTIONS_LIMITED"
    E_TRANSACTIONS_LOCKED = "E_TRANSACTIONS_LOCKED"
    E_ACCOUNT_HAS_USERS = "E_ACCOUNT_HAS_USERS"
    E_CANT_CREATE_ASTERISK_ACCOUNT = "E_CANT_CREATE_ASTERISK_ACCOUNT"
    E_CARRIER_ERROR = "E_CARRIER_ERROR"
    E_DID_ORDER_FAIL = "E_DID_ORDER_FAIL"
    E_INITIATE_ASTERISK_CALL_FAIL = "E_INITIATE_ASTERISK_CALL_FAIL"
    E_INSUFFICIENT_MONEY = "E_INSUFFICIENT_MONEY"
    E_INVALID_SMS_FROM = "E_INVALID_SMS_FROM"
    E_INVALID_SMS_TO = "E_INVALID_SMS_TO"
    E_CODE_HAS_NO_BALANCE = "E_CODE_HAS_NO_BALANCE"
    E_INVITE_LIMIT_REACHED = "E_INVITE_LIMIT_REACHED"
    E_MAXIMUM_PAYMENT = "E_MAXIMUM_PAYMENT"
    E_MINIMAL_PAYMENT = "E_MINIMAL_PAYMENT"
    E_MINIMAL_START_PAYMENT = "E_MINIMAL_START_PAYMENT"
    E_TARGET_WHITELISTED = "E_TARGET_WHITELISTED"
    E_TRANSACTION_FAILED = "E_TRANSACTION_FAILED"
    E_TTS_ERROR = "E_TTS_ERROR"
    E_UNROUTABLE = "E_UNROUTABLE"
    E_CANT_CREATE_ASTERISK_EXTENSION = "E_CANT_CREATE_ASTERISK_EXTENSION"
    E_CANT_DELETE_EXTENSION = "E_CANT_DELETE_EXTENSION"
    E_ALREADY_ON_THIS_TARIFF = "E_ALREADY_ON_THIS_TARIFF"
    E_CONTACT_RESELLER = "E_CONTACT_RESELLER"


class Failure(Exception):
    """What a query is answered instead of a result. `description`: for people; it has no secret."""

    def __init__(self, code: Code, description: str = "") -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description


# By RatingEngineError.code; what is not here nobody foresaw.
CODE_OF_ERROR: Final[Mapping[str, Code]] = {
    "bad_request": Code.E_DATA_ABORT,
    "not_found": Code.E_NOT_EXIST,
    "wrong_pin": Code.E_AUTH_FAILED,
    "already_exists": Code.E_DATA_ABORT,
    "not_allowed": Code.E_INSUFFICIENT_ACCESS,
    "not_yours": Code.E_DOES_NOT_BELONG_TO_YOU,
    "refused": Code.E_DATA_ABORT,
    "insufficient_money": Code.E_INSUFFICIENT_MONEY,
    "order_failed": Code.E_DID_ORDER_FAIL,
    "leads_back": Code.E_HAS_NO_ONE_TOLD_YOU_SHE_IS_NOT_BREATHING,
    "account_closed": Code.E_TRANSACTION_FAILED,
    "no_exchange_rate": Code.E_TRANSACTION_FAILED,
    "transfers_locked": Code.E_TRANSACTIONS_LOCKED,
    "contact_reseller": Code.E_CONTACT_RESELLER,
    "minimal_payment": Code.E_MINIMAL_PAYMENT,
    "minimal_start_payment": Code.E_MINIMAL_START_PAYMENT,
    "maximum_payment": Code.E_MAXIMUM_PAYMENT,
    "code_empty": Code.E_CODE_HAS_NO_BALANCE,
    "no_invites": Code.E_INVITE_LIMIT_REACHED,
    "too_many_tries": Code.E_INSUFFICIENT_ACCESS,
    "transfers_limited": Code.E_TRANSACTIONS_LIMITED,
    "whitelisted": Code.E_TARGET_WHITELISTED,
    "no_such_exchange": Code.E_SIP_SERVER_NOT_EXIST,
    "wrong_extension": Code.E_WRONG_EXTENSION,
    "extension_taken": Code.E_CANT_CREATE_ASTERISK_EXTENSION,
    "extension_in_call": Code.E_CANT_DELETE_EXTENSION,
    "no_secret_key": Code.E_UNDEFINED_INSTRUCTION,
    "invalid_sender": Code.E_INVALID_SMS_FROM,
    "invalid_recipient": Code.E_INVALID_SMS_TO,
    "query_failed": Code.E_ASTERISK_QUERY_ERROR,
    "file_not_fetched": Code.E_DATA_ABORT,
    "speech_failed": Code.E_TTS_ERROR,
    "carrier_failed": Code.E_CARRIER_ERROR,
    "call_failed": Code.E_INITIATE_ASTERISK_CALL_FAIL,
    "unknown_action": Code.E_UNDEFINED_INSTRUCTION,
    "unavailable": Code.E_SQL_ERROR,
    "overloaded": Code.E_SQL_ERROR,
    "account_locked": Code.E_SQL_ERROR,
}

# Of who is not let in by the key's own rules: HTTP statuses; of the rest: codes.
STATUS_OF_REFUSAL: Final[Mapping[Refusal, int]] = {
    Refusal.BANNED: 403,
    Refusal.UNKNOWN_KEY: 401,
    Refusal.WRONG_ADDRESS: 403,
    Refusal.NOT_SECURE: 403,
    Refusal.TOO_MANY: 429,
}
CODE_OF_REFUSAL: Final[Mapping[Refusal, Code]] = {
    Refusal.WRONG_METHOD: Code.E_INSUFFICIENT_ACCESS,
    Refusal.NO_USER: Code.E_AUTH_FAILED,
    Refusal.NO_SESSION: Code.E_AUTH_FAILED,
    Refusal.NOT_YOURS: Code.E_DOES_NOT_BELONG_TO_YOU,
    Refusal.LOCKED: Code.E_USER_LOCKED,
}

CODE_OF_DECLINE: Final[Mapping[DeclineReason, Code]] = {
    DeclineReason.UNKNOWN_LOGIN: Code.E_NOT_EXIST,
    DeclineReason.INACTIVE: Code.E_USER_LOCKED,
    DeclineReason.USER_BLOCKED: Code.E_USER_LOCKED,
    DeclineReason.EXTERNAL_BLOCKED: Code.E_USER_LOCKED,
    DeclineReason.EXCHANGE_BANNED: Code.E_INSUFFICIENT_ACCESS,
    DeclineReason.WRONG_CARD: Code.E_AUTH_FAILED,
    DeclineReason.CARD_NOT_VALID: Code.E_USER_LOCKED,
    DeclineReason.INVALID_DESTINATION: Code.E_UNROUTABLE,
    DeclineReason.NO_RATE: Code.E_UNROUTABLE,
    DeclineReason.NO_ROUTE: Code.E_UNROUTABLE,
    DeclineReason.NO_CAPACITY: Code.E_UNROUTABLE,
    DeclineReason.BLOCKED_DESTINATION: Code.E_UNROUTABLE,
    DeclineReason.PRICE_TOO_HIGH: Code.E_UNROUTABLE,
    DeclineReason.UNKNOWN_NUMBER: Code.E_NOT_EXIST,
    DeclineReason.NUMBER_CLOSED: Code.E_NOT_EXIST,
    DeclineReason.SOURCE_REJECTED: Code.E_UNROUTABLE,
    **dict.fromkeys(LIST_CAUSES, Code.E_UNROUTABLE),
    DeclineReason.NUMBER_LOOP: Code.E_HAS_NO_ONE_TOLD_YOU_SHE_IS_NOT_BREATHING,
    DeclineReason.INSUFFICIENT_FUNDS: Code.E_INSUFFICIENT_MONEY,
    DeclineReason.DAILY_LIMIT: Code.E_INSUFFICIENT_MONEY,
    DeclineReason.MONTHLY_LIMIT: Code.E_INSUFFICIENT_MONEY,
    DeclineReason.RESELLER_INSUFFICIENT_FUNDS: Code.E_INSUFFICIENT_MONEY,
    DeclineReason.RESELLER_INACTIVE: Code.E_USER_LOCKED,
    DeclineReason.RESELLER_LIMIT: Code.E_UNROUTABLE,
    DeclineReason.CALLED_BACK: Code.E_INSUFFICIENT_ACCESS,
    DeclineReason.TOO_MANY_CALLS: Code.E_INSUFFICIENT_ACCESS,
    DeclineReason.NO_EXCHANGE_RATE: Code.E_TRANSACTION_FAILED,
    DeclineReason.CONFLICT: Code.E_DATA_ABORT,
    DeclineReason.ALREADY_FINISHED: Code.E_DATA_ABORT,
    DeclineReason.BAD_REQUEST: Code.E_INVALID_ARGUMENT,
    DeclineReason.UNAVAILABLE: Code.E_SQL_ERROR,
    DeclineReason.OVERLOADED: Code.E_SQL_ERROR,
    DeclineReason.ACCOUNT_LOCKED: Code.E_SQL_ERROR,
    DeclineReason.INTERNAL: Code.E_LUA_EXCEPTION,
}


_OF_KEY: Final = {"secret": "apikey", "methods": "allowed_methods", "sources": "source"}
_OF_ROUTE: Final = {"secret": "pass", "balance_secret": "balance_password", "name": "route", "username": "user"}

# Fields of use cases, by the names that arguments of methods have for them.
ARGUMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "addKey": {**_OF_KEY, "level": "accessLevel"},
    "updateKey": {**_OF_KEY, "level": "accesslevel"},
    "addRoute": _OF_ROUTE,
    "updateRoute": _OF_ROUTE,
    "addDirection": {"prior": "priority"},
    "getStats": {"since": "date1", "until": "date2"},
    "registerUser": {"login": "user", "level": "accesslevel"},
    "updateUser": {"level": "accesslevel", "max_call_seconds": "allowed_call_len"},
    "createCallback": {"first": "destination1", "second": "destination2", "pitch": "epitch"},
    "msgCallback": {"first": "text", "second": "text"},
    "sendVoiceMessage": {"url": "text"},
    "updateSIM": {"allow_direct_sms": "directsms"},
}


def failure_of(error: RatingEngineError, method: str = "") -> Failure | None:
    """What an error of the engine is here; None: nobody foresaw it. `method`: whose arguments it names."""
    code = CODE_OF_DECLINE[error.reason] if isinstance(error, MessageDeclined) else CODE_OF_ERROR.get(error.code)
    return None if code is None else Failure(code, _named(str(error), method))


def _named(problem: str, method: str) -> str:
    field, colon, rest = problem.partition(": ")
    return f"{ARGUMENTS.get(method, {}).get(field, field)}{colon}{rest}"
