"""Names in files that are opened with a spreadsheet: none is a formula, and each is read as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.services.decks.file.formulas import quoted, unquoted


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+49", "-1", "@SUM(A1)", "\tx", "\rx", "'=x", "''-x"])
def test_what_a_spreadsheet_would_work_out_is_written_as_text(name):
    assert quoted(name)[0] == "'"
    assert quoted(name) != name


@pytest.mark.parametrize("name", ["Germany", "Cote d'Ivoire", "'s-Hertogenbosch", "", "a=b", "1"])
def test_any_other_name_is_written_as_it_is(name):
    assert quoted(name) == name


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\nab 1"), max_size=8))
def test_every_name_is_read_as_it_was_written(name):
    assert unquoted(quoted(name)) == name
