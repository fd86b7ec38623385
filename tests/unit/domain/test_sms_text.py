"""How many parts a text takes as SMS, at the borders that carriers bill by (3GPP TS 23.038, 23.040)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.sms_text import (
    GSM_ALPHABET,
    GSM_EXTENSION,
    PART_SEPTETS,
    PART_UNITS,
    Encoding,
    encode_text,
    septets_of,
    text_of_septets,
)

GSM, UCS = Encoding.GSM7, Encoding.UCS2
LETTERS = [letter for letter in GSM_ALPHABET if letter != "\x1b"] + list(GSM_EXTENSION)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", GSM, 0, 1),
        ("Hello World!", GSM, 12, 1),
        ("a" * 160, GSM, 160, 1),
        ("a" * 161, GSM, 161, 2),
        ("a" * 306, GSM, 306, 2),
        ("a" * 307, GSM, 307, 3),
        ("€" * 80, GSM, 160, 1),  # each takes an escape before it
        ("€" * 81, GSM, 162, 2),
        ("a" * 152 + "€" + "b" * 7, GSM, 161, 2),  # the escape is not cut off its letter: 152, then 9
        ("a" * 152 + "€" + "b" * 152, GSM, 306, 3),  # so a septet is left empty, and a third part is needed
        ("äöüßÄÖÜ àèéìòù ñ @£$¥ ΔΦΓΛΩΠΨΣΘΞ", GSM, 32, 1),
        ("[a]{b}|c|~\\^", GSM, 21, 1),
        ("ç", UCS, 1, 1),  # a small one is not in the alphabet, Ç is
        ("Ç", GSM, 1, 1),
        ("я" * 70, UCS, 70, 1),
        ("я" * 71, UCS, 71, 2),
        ("я" * 134, UCS, 134, 2),
        ("я" * 135, UCS, 135, 3),
        ("😀" * 35, UCS, 70, 1),  # two units each
        ("😀" * 36, UCS, 72, 2),
        ("я" * 66 + "😀" + "я" * 66, UCS, 134, 3),  # a pair is not cut: 66, then 67, then 1
        ("a" * 159 + "я", UCS, 160, 3),  # one letter makes all of it UCS-2
    ],
)
def test_a_text_takes_so_many_parts(text: str, encoding: Encoding, units: int, parts: int):
    encoded = encode_text(text)

    assert (encoded.encoding, encoded.units, len(encoded.parts)) == (encoding, units, parts)
    assert "".join(encoded.parts) == text


@given(st.text(st.sampled_from(LETTERS), max_size=1_000))
def test_a_text_of_the_alphabet_goes_in_septets_and_comes_back(text: str):
    encoded = encode_text(text)

    assert encoded.encoding is GSM
    assert "".join(encoded.parts) == text
    assert len(septets_of(text)) == encoded.units
    assert all(len(septets_of(part)) <= (160 if len(encoded.parts) == 1 else PART_SEPTETS) for part in encoded.parts)
    assert text_of_septets(septets_of(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_every_text_is_its_parts_and_no_part_is_too_long(text: str):
    encoded = encode_text(text)

    assert "".join(encoded.parts) == text
    if encoded.encoding is UCS:
        most = 70 if len(encoded.parts) == 1 else PART_UNITS
        assert all(len(part.encode("utf-16-be")) <= 2 * most for part in encoded.parts)
