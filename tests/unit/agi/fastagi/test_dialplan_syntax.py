"""agi.fastagi.dialplan_syntax: Asterisk's own reading, with cases seen on Asterisk 22.10."""

from __future__ import annotations

import pytest

from agi.fastagi.dialplan_syntax import mset_variables, split_arguments, split_command


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("NOOP", ["NOOP"]),
        ("GET VARIABLE A", ["GET", "VARIABLE", "A"]),
        ("  GET\tVARIABLE   A ", ["GET", "VARIABLE", "A"]),
        ('EXEC MSet "A=1,B=x y"', ["EXEC", "MSet", "A=1,B=x y"]),
        ('SET VARIABLE A ""', ["SET", "VARIABLE", "A", ""]),
        (r"A \"b\" c\ d", ["A", '"b"', "c d"]),
        (r'"a\"b"', ['a"b']),
        ('ab"c d"e', ["abc de"]),
        ('"never closed x', ["never closed x"]),
        (r"a\\b", [r"a\b"]),
    ],
)
def test_a_command_line_splits_into_words(line: str, words: list[str]) -> None:
    assert split_command(line) == words


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a,", ["a", ""]),
        (",a", ["", "a"]),
        ("f(a,b),c", ["f(a,b)", "c"]),
        ("[a,b],c", ["[a,b]", "c"]),
        ("x[y,E=5", ["x[y,E=5"]),
        (")a,b", [")a", "b"]),
        ('"a,b",c', ["a,b", "c"]),
        (r"a\,b,c", ["a,b", "c"]),
        (r"a\\,b", ["a\\", "b"]),
    ],
)
def test_arguments_split_at_commas_outside_quotes_and_brackets(text: str, arguments: list[str]) -> None:
    assert split_arguments(text) == arguments


def test_the_last_argument_takes_what_is_left_as_it_stands() -> None:
    assert split_arguments(r"A=1=2\"", "=", limit=2) == ["A", r"1=2\""]


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("A=x,B=,C=1=2", {"A": "x", "B": "", "C": "1=2"}),
        ("A=1,nothing,B=2", {"A": "1", "B": "2"}),
        ("D=x[y,E=5", {"D": "x[y,E=5"}),
        ("A=1,A=2", {"A": "2"}),
    ],
)
def test_mset_sets_pairs(text: str, variables: dict[str, str]) -> None:
    assert mset_variables(text) == variables
