"""Who may do what on whom: every use case by its name, with the least level, the scope, and whose things it is about.

Laws: what is not in the table is for nobody but the operator; who is asked about things of others is told no, whatever
its level; nobody gives itself, or lets be given by who is below an administrator, money, credit or another tariff.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.domain.access import calls, lines, money, people, prices
from rating_engine.domain.rights import Right

ACTIONS: Final[Mapping[str, Right]] = {
    **people.ACTIONS,
    **money.ACTIONS,
    **lines.ACTIONS,
    **prices.ACTIONS,
    **calls.ACTIONS,
}
