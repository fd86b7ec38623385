"""What a function is answered instead of its result, in the document's own words.

Law: a text is one of those that its function has in `declared`, letter by letter: programs compare them.
"""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import Function

ACCESS_DENIED: Final = "Access Denied"
INCORRECT_HASH: Final = "Incorrect hash"
BAD_LOGIN: Final = "Bad login"
NOT_AUTHORIZED: Final = "You are not authorized to use this functionality"
NOT_AUTHORISED: Final = "You are not authorised to use this functionality"  # as some pages spell it
NOT_AUTHENTICATED: Final = "Not authenticated"
NOT_FOUND: Final = "user not found"
FEATURE_DISABLED: Final = "Feature disabled"
GET_DISABLED: Final = "GET Requests are disabled"


class Failed(Exception):
    """The error text of an answer. `message`: what is said besides, where the function's answer has a place for it."""

    def __init__(self, text: str, message: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.message = message


def first_of(function: Function, *texts: str) -> str:
    """The first of these texts that the function has, else Access Denied."""
    return next((text for text in texts if text in function.errors), ACCESS_DENIED)


def unknown_user(function: Function) -> str:
    """Of a `u` that nobody has."""
    return first_of(function, BAD_LOGIN, NOT_AUTHENTICATED, NOT_FOUND)


def wrong_hash(function: Function) -> str:
    """Of a hash that is absent or wrong."""
    return first_of(function, INCORRECT_HASH, NOT_AUTHENTICATED)


def not_authorized(function: Function) -> str:
    """Of who lacks the permission."""
    return first_of(function, NOT_AUTHORIZED, NOT_AUTHORISED)


def switched_off(function: Function) -> str:
    """Of a function that is blocked, and of the API where it is off."""
    return first_of(function, FEATURE_DISABLED)
