"""References of ledger entries that somebody gives from outside are never the engine's own."""

import re
from pathlib import Path

import pytest

import rating_engine
from rating_engine.domain.checks import OWN_REFERENCES, check_reference
from rating_engine.domain.errors import InvalidRequest

ROOT = Path(rating_engine.__file__).parent
# Of other kinds: keys of requests, of subscriptions and of messages that came in, which no ledger entry has.
OF_OTHERS = {"top-up:", "offer:", "in:"}


@pytest.mark.parametrize("begin", OWN_REFERENCES)
def test_what_the_engine_names_itself_nobody_else_does(begin):
    with pytest.raises(InvalidRequest, match=begin):
        check_reference(f"{begin}1:x")


def test_every_reference_that_the_engine_makes_is_reserved():
    made = set(re.findall(r"format\('([a-z_]+:)%s", (ROOT.parent / "schema.sql").read_text()))
    for path in ROOT.glob("**/*.py"):
        text = path.read_text()
        made |= set(re.findall(r'reference\s*=\s*f"([a-z_-]+:)\{', text))
        made |= set(re.findall(r'Order\([^()]*f"([a-z_-]+:)\{', text))
        made |= set(re.findall(r'_taken\([^()]*f"([a-z_-]+:)\{', text))
        if path.name == "did.py":
            made |= set(re.findall(r'return f"([a-z_-]+:)\{', text))
    assert {"did:", "card:", "code:", "message:", "transfer:"} <= made
    assert made - OF_OTHERS - set(OWN_REFERENCES) == set()
