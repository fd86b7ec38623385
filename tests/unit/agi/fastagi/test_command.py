"""agi.fastagi.command: what may stand in a channel variable, and the line that sets them."""

from __future__ import annotations

import pytest

from agi.fastagi.command import MAX_COMMAND_BYTES, MAX_VALUE_BYTES, MAX_VARIABLES, clean_value, render_mset


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "Allowed 99999 79010000001 79020000002 RussiaMobile-Tele2 outline/ route1-cli -1 -1",
        "Saved RussiaMobile-Tele2 [79010000001/79020000002] via [route1-cli] 0 0 EUR 0CANCEL",
        "PJSIP/trunk-1/sip:+49@gw.example:5060",
        "*#123",
        "Россия-Мобильные 東京",
        "::1/1795315015.1/1",
        "[a [b] c][]",
    ],
)
def test_a_harmless_value_is_left_as_it_is(kept: str) -> None:
    assert clean_value(kept) == kept


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a,RATING_MAX_SECONDS=9", "a_RATING_MAX_SECONDS_9"),
        ('a",B="', "a__B__"),
        ("a\\", "a_"),
        ("a\nEXEC Dial x", "a_EXEC Dial x"),
        ("a\r\tb\0c", "a__b_c"),
        ("${SHELL(id)}", "__SHELL_id__"),
        ("$[1+1]", "_[1+1]"),
        ("a;b|c&d<e>f'g`h?i!j%k~l^m", "a_b_c_d_e_f_g_h_i_j_k_l_m"),
        ("a[b", "a_b"),
        ("a]b[c", "a_b_c"),
        ("a[[b]", "a__b_"),
        ("\ud800\u00a0\u2028", "___"),
    ],
)
def test_a_character_with_a_meaning_for_asterisk_becomes_an_underscore(text: str, cleaned: str) -> None:
    assert clean_value(text) == cleaned


def test_a_value_is_cut_at_a_characters_border() -> None:
    assert clean_value("я" * 100, 7) == "яяя"
    assert clean_value("x" * 1000) == "x" * MAX_VALUE_BYTES


def test_a_bracket_left_open_by_the_cut_is_replaced() -> None:
    assert clean_value("ab[cd]", 5) == "ab_cd"


def test_the_command_is_one_line_of_pairs_in_order() -> None:
    assert render_mset({"A": "1", "B": "x y", "C": ""}) == b'EXEC MSet "A=1,B=x y,C="\n'


def test_the_command_cleans_values_itself() -> None:
    assert render_mset({"A": '1",B=2', "C": "a[", "D": "[ok]"}) == b'EXEC MSet "A=1__B_2,C=a_,D=[ok]"\n'


@pytest.mark.parametrize("name", ["", "a", "_A", "A=", "A,B", "CHANNEL(language)", "A" * 65, "A\n"])
def test_a_name_that_is_no_constant_of_ours_is_a_programming_error(name: str) -> None:
    with pytest.raises(ValueError, match="not a variable name"):
        render_mset({name: "1"})


def test_a_command_fills_asterisks_buffer_and_no_more() -> None:
    room = MAX_COMMAND_BYTES - len(b'EXEC MSet "A="\n')
    assert len(render_mset({"A": "x" * room})) == MAX_COMMAND_BYTES
    with pytest.raises(ValueError, match="Asterisk reads"):
        render_mset({"A": "x" * (room + 1)})


@pytest.mark.parametrize("count", [0, MAX_VARIABLES + 1])
def test_no_variables_or_too_many_are_a_programming_error(count: int) -> None:
    with pytest.raises(ValueError, match="MSet takes"):
        render_mset({f"A{n}": "" for n in range(count)})
