"""What users connect by themselves: an offer of a group, paid for as a service, perhaps with a number and a tariff.

Laws: connecting is paid once, whoever asks for it how often; it gives all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rating_engine.domain.checks import check_line, check_text
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.number_stock import Named
from rating_engine.domain.subscription import Service


@dataclass(frozen=True, slots=True)
class TariffOffer:
    """One offer. `names`: by language codes. `tariff`: what its user's calls are priced by then; None: as before.

    `region`, `kind`: of the number that it takes (`has_number`); None: of any.
    """

    offer_id: int
    group_id: int
    service: Service
    tariff: str | None
    name: str
    names: Mapping[str, str]
    description: str
    has_number: bool
    region: Named | None
    kind: Named | None


@dataclass(frozen=True, slots=True)
class NewOffer:
    """One to be made of a service, in the group of that name, made where there is none. Raises InvalidRequest."""

    group: str
    service_id: int
    name: str
    names: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    tariff: str | None = None
    has_number: bool = False
    region: str = ""
    kind: str = ""

    def __post_init__(self) -> None:
        check_line(self.group, "group")
        check_line(self.name, "name")
        check_text(self.description, "description")
        for language, name in self.names.items():
            if not (language.isascii() and language.isalpha() and language.islower() and 2 <= len(language) <= 3):
                raise InvalidRequest("names", f"{language[:10]!r} is no code of a language, as en")
            check_line(name, "names")
        for value, called in ((self.region, "region"), (self.kind, "kind")):
            check_line(value, called, empty=True)
            if value and not self.has_number:
                raise InvalidRequest(called, "is of the number: say that it takes one")
