"""A seal holds for one key, one text and one secret."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from rating_engine.storage.decks.seal import SEAL_BYTES, Seal

OURS, THEIRS = Seal(b"o" * 32), Seal(b"t" * 32)


@given(st.binary(max_size=50), st.binary(max_size=200))
def test_what_was_sealed_opens_under_its_key(key: bytes, text: bytes) -> None:
    assert OURS.opened(key, OURS.sealed(key, text)) == text


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_a_value_moved_to_another_key_does_not_open(key: bytes, other: bytes, text: bytes) -> None:
    assume(key != other)
    assert OURS.opened(other, OURS.sealed(key, text)) is None


@given(st.binary(min_size=1, max_size=50), st.binary(max_size=50))
def test_no_byte_can_change_sides_between_key_and_text(key: bytes, text: bytes) -> None:
    sealed = OURS.sealed(key, text)
    assert OURS.opened(key[:-1], sealed[:SEAL_BYTES] + key[-1:] + text) is None


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_breaks_it(key: bytes, text: bytes, at: int, change: int) -> None:
    value = bytearray(OURS.sealed(key, text))
    value[at % len(value)] ^= change
    assert OURS.opened(key, bytes(value)) is None


@given(st.binary(max_size=50), st.binary(max_size=40))
def test_a_value_of_another_secret_or_of_none_does_not_open(key: bytes, value: bytes) -> None:
    assert OURS.opened(key, THEIRS.sealed(key, value)) is None
    assert OURS.opened(key, value) is None
