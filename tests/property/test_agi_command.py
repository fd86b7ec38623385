"""Laws of our command: no value, whatever it holds, makes Asterisk set anything but what was meant."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from agi import channel_variables as var
from agi.fastagi.command import MAX_COMMAND_BYTES, clean_value, render_mset
from agi.fastagi.dialplan_syntax import mset_variables, split_command
from agi.fastagi.scripts import render_call_finish, render_call_prepare, render_get_balance
from rating_engine.domain.outcomes import MAX_CALL_KEY_LENGTH, Allowed, Balance, CallKey, Saved

# Any text, and often one made of what has a meaning for Asterisk.
texts = st.one_of(st.text(max_size=60), st.text(alphabet=',"\\\n\r[](){}$;=| ab\ud800', max_size=40))
long_texts = st.one_of(texts, st.text(min_size=100, max_size=300))
amounts = st.decimals(min_value=-(10**14), max_value=10**14, places=6, allow_nan=False)
seconds = st.integers(min_value=0, max_value=31 * 86_400)


def as_asterisk_reads(command: bytes) -> dict[str, str]:
    """The variables that Asterisk sets: by its own reading of the line, which is not ours."""
    assert command.endswith(b"\n")
    assert command.count(b"\n") == 1
    assert b"\r" not in command
    assert b"\0" not in command
    assert len(command) <= MAX_COMMAND_BYTES
    words = split_command(command[:-1].decode())
    assert len(words) == 3
    assert words[:2] == ["EXEC", "MSet"]
    return mset_variables(words[2])


@given(values=st.lists(texts, min_size=1, max_size=16))
@example(values=['"', "x", '",B=1'])
@example(values=["[", "x]"])
@example(values=["[", "x"])
@example(values=["\\", "x"])
def test_asterisk_sets_exactly_the_variables_meant(values: list[str]) -> None:
    meant = {f"V{number}": value for number, value in enumerate(values)}
    read = as_asterisk_reads(render_mset(meant))
    assert read == {name: clean_value(value, MAX_COMMAND_BYTES) for name, value in meant.items()}


@given(text=long_texts)
def test_a_clean_value_holds_nothing_that_a_dialplan_evaluates(text: str) -> None:
    value = clean_value(text)
    assert not set(value) & set("$`\"'\\(){};|&<>,=?!%^~\n\r\t\0")
    assert value.count("[") == value.count("]")
    assert len(value.encode()) <= 128


@given(text=long_texts)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_value(clean_value(text)) == clean_value(text)


@given(
    uniqueid=st.text(max_size=MAX_CALL_KEY_LENGTH - len("pbx1//99")),
    max_seconds=st.integers(min_value=0, max_value=10**9),
    fields=st.lists(long_texts, min_size=5, max_size=5),
)
def test_an_allowed_call_fits_one_command_whatever_its_names(
    uniqueid: str, max_seconds: int, fields: list[str]
) -> None:
    destination, callerid, direction, prefix, name = fields
    key = CallKey("pbx1", uniqueid, 99)
    allowed = Allowed(key, max_seconds, destination, callerid, direction, prefix, name, Decimal(0), "EUR")
    variables = as_asterisk_reads(render_mset(render_call_prepare(allowed)))
    assert tuple(variables) == var.CALL_PREPARE_VARIABLES
    assert variables[var.RATING_STATUS] == "ALLOWED"
    assert variables[var.RATING_MAX_SECONDS] == str(max_seconds)
    assert variables[var.RATING_MAX_MS] == str(max_seconds * 1000)
    assert variables[var.RATING_RESULT].startswith(f"Allowed {max_seconds} ")
    assert len(variables[var.RATING_RESULT].split(" ")) == 9


@given(cost=amounts, currency=texts, billed=seconds, fields=st.lists(long_texts, min_size=5, max_size=5))
def test_a_saved_call_fits_one_command_whatever_its_names(
    cost: Decimal, currency: str, billed: int, fields: list[str]
) -> None:
    direction, destination, callerid, route, disposition = fields
    saved = Saved(
        CallKey("pbx1", "1", 1),
        cost,
        currency,
        billed,
        billed,
        direction,
        destination,
        callerid,
        route,
        disposition,
        16,
    )
    variables = as_asterisk_reads(render_mset(render_call_finish(saved)))
    assert tuple(variables) == var.CALL_FINISH_VARIABLES
    assert Decimal(variables[var.RATING_COST]) == cost
    assert "E" not in variables[var.RATING_COST]
    assert variables[var.RATING_BILLED_SECONDS] == str(billed)


@given(balance=amounts, available=st.none() | amounts)
def test_a_balance_is_said_exactly(balance: Decimal, available: Decimal | None) -> None:
    outcome = Balance("a", "EUR", balance, Decimal(0), None, available)
    variables = as_asterisk_reads(render_mset(render_get_balance(outcome)))
    assert tuple(variables) == var.GET_BALANCE_VARIABLES
    assert Decimal(variables[var.RATING_BALANCE]) == balance
    if available is None:
        assert variables[var.RATING_AVAILABLE] == "unlimited"
    else:
        assert Decimal(variables[var.RATING_AVAILABLE]) == available
