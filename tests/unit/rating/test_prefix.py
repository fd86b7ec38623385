import pytest

from rating_engine.rating.prefix import longest_match, prefixes


@pytest.mark.parametrize(
    ("number", "longest", "expected"),
    [
        ("4420", 32, ["4420", "442", "44", "4"]),
        ("4420", 2, ["44", "4"]),
        ("4420", 0, []),
        ("", 32, []),
    ],
)
def test_prefixes_come_longest_first(number, longest, expected):
    assert prefixes(number, longest) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("442079460000", ("4420", "London")),
        ("4420", ("4420", "London")),
        ("442", ("44", "UK")),
        ("44", ("44", "UK")),
        ("4", None),
        ("34911", None),
        ("", None),
    ],
)
def test_the_longest_prefix_wins(number, expected):
    assert longest_match(number, {"44": "UK", "4420": "London", "1": "NANP", "": "nowhere"}) == expected


def test_a_value_of_none_is_a_value():
    assert longest_match("44", {"44": None}) == ("44", None)


def test_prefixes_longer_than_said_are_not_looked_at():
    assert longest_match("4420", {"44": "UK", "4420": "London"}, longest=2) == ("44", "UK")
