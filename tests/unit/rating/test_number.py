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
        ("0044(0)20 7946 0123", "442079460123"),
        ("44 (0) 20 7946 0123", "442079460123"),
        ("+44 ( 0 ) 20-7946-0123", "442079460123"),
        ("+49(0)30.1800", "49301800"),
        ("+44 (0)", "44"),
        ("+39 (0)6 698", "3906698"),  # Rome's zero is part of the number
        ("+378 (0)549 88", "378054988"),
        ("(0)30 1800", "0301800"),  # as dialled within the country
        ("+44 (20) 7946 (0123)", "442079460123"),
        ("493001800015#", "493001800015"),
        ("+4930 1800#", "49301800"),
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
        ("493001800012,1001", "has ',', which is not a digit"),
        ("493001800013&494", "has '&', which is not a digit"),
        ("493001800013##", "has '#', which is not a digit"),
        ("4930#1800", "has '#', which is not a digit"),
        ("#", "has no digits"),
        ("030 18(0)0", "has a zero in brackets that does not stand behind the country code"),
        ("+4930(0)1800", "has a zero in brackets that does not stand behind the country code"),
        ("+44(0)20(0)1", "has a zero in brackets that does not stand behind the country code"),
        ("+(0)44", "has a zero in brackets that does not stand behind the country code"),
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
