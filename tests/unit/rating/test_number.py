import pytest

from rating_engine.rating.number import InvalidNumber, normalise_callerid, normalise_destination


@pytest.mark.parametrize(
    ("dialled", "digits"),
    [
        ("442079460000", "442079460000"),
        ("+442079460000", "442079460000"),
        ("00442079460000", "442079460000"),
        ("+44 (20) 7946-0000", "442079460000"),
        ("(+44) 20.7946.0000", "442079460000"),
        (" 00 44 20 ", "4420"),
        ("+0044", "0044"),  # + says international already: what follows is the number
        ("7", "7"),
        ("0", "0"),
        ("1" * 32, "1" * 32),
        ("-" * 127 + "1", "1"),
    ],
)
def test_a_dialled_number_becomes_its_digits(dialled, digits):
    assert normalise_destination(dialled) == digits


def test_the_international_prefix_is_the_operators():
    assert normalise_destination("0114420", international_prefix="011") == "4420"
    assert normalise_destination("004420", international_prefix="011") == "004420"
    assert normalise_destination("004420", international_prefix="") == "004420"


@pytest.mark.parametrize(
    ("dialled", "problem"),
    [
        ("", "has no digits"),
        ("+", "has no digits"),
        ("00", "has no digits"),
        (" -.() ", "has no digits"),
        ("anonymous", "has 'a', which is not a digit"),
        ("44+20", "has '+', which is not a digit"),
        ("++44", "has '+', which is not a digit"),
        ("44,20", "has ',', which is not a digit"),
        ("*97", "has '*', which is not a digit"),
        ("44\n", r"has '\n', which is not a digit"),
        ("44\x00", r"has '\x00', which is not a digit"),
        ("٤٤", r"has '\u0664', which is not a digit"),
        ("²", r"has '\xb2', which is not a digit"),
        ("1" * 33, "has more than 32 digits"),
        ("1" * 129, "is longer than 128 characters"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_number_is_refused_with_the_reason(dialled, problem):
    with pytest.raises(InvalidNumber) as refused:
        normalise_destination(dialled)

    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("+442079460000", "+442079460000"),
        ("anonymous", "anonymous"),
        ("020 7946-0000", "02079460000"),
        ("", ""),
        ('44",B=${SHELL(id)}', "44BSHELLid"),
        ("44\nSET VARIABLE", "44SETVARIABLE"),
        ("Zoë", "Zo"),
        ("1" * 500, "1" * 40),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_callerid_keeps_what_a_dialplan_variable_can_hold(sent, kept):
    assert normalise_callerid(sent) == kept
