"""Who may do what on whom: every use case by its name, with the least level, the scope, and whose things it is about.

Laws: what is not in the table is for nobody but the operator; who is asked about things of others is told no, whatever
its level; nobody gives itself, or lets be given by who is below an administrator, money, credit or another tariff.

"Belongs to you" means: of the tree below the asker's realm. `Right.concerns` says how the arguments of a use case name
whose it is (`login`, `new.owner`); the answer to each is looked up by services/parties/guard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal


class Named(StrEnum):
    """What an argument names: a line by its login, a party, a key, an account or a telephone number by its own."""

    LINE = "line"
    PARTY = "party"
    KEY = "key"
    TARIFF = "tariff"  # by its number
    ROUTE = "route"  # by its number
    NUMBER = "number"
    RULES = "rules"  # of a number or a line, by the name of their list
    ACCOUNT = "account"
    SERVICE = "service"  # by its number, as those below
    SUBSCRIPTION = "subscription"


class Otherwise(StrEnum):
    """What a use case is about where its argument names nobody."""

    ALL = "all"  # everybody's: for who sees all
    OWN = "own"  # what is the asker's; the use case goes by its realm itself


@dataclass(frozen=True, slots=True)
class Concern:
    """Whose things: of whom the argument at `path` names. `below`: not the asker's own, which others change."""

    kind: Named
    path: str
    below: bool = False
    otherwise: Otherwise = Otherwise.ALL


@dataclass(frozen=True, slots=True)
class Right:
    """What one use case takes. No `concerns`, and not `own`: it is about the whole installation.

    `money`: it moves money. `admins_only`: arguments that only an administrator may give, and below one have to be
    absent, None or 0. `own_tariff`: arguments that below an administrator can only be the asker's own
    tariff, or for others one that it made, where it pays for their calls.
    """

    scope: str
    least: Level
    concerns: tuple[Concern, ...] = ()
    own: bool = False
    money: bool = False
    admins_only: tuple[str, ...] = ()
    own_tariff: tuple[str, ...] = ()


def refusal_of(principal: Principal, right: Right) -> str | None:
    """Why an asker may not do this at all, whoever it is about; None: it may."""
    if principal.level < right.least:
        return f"takes level {int(right.least)}"
    if principal.scopes is not None and not _covers(principal.scopes, right.scope):
        return f"takes the scope {right.scope}"
    if right.money and not principal.moves_money:
        return "moves money, which an accountant does not"
    if not right.concerns and not right.own and not principal.sees_all:
        return "is about the whole installation"
    return None


def _covers(scopes: frozenset[str], wanted: str) -> bool:
    """Who may write may read."""
    noun, _, what = wanted.partition(":")
    return wanted in scopes or (what == "read" and f"{noun}:write" in scopes)


def _line(path: str = "login", *, below: bool = False, otherwise: Otherwise = Otherwise.ALL) -> Concern:
    return Concern(Named.LINE, path, below, otherwise)


def _party(path: str = "who", *, below: bool = False, otherwise: Otherwise = Otherwise.OWN) -> Concern:
    return Concern(Named.PARTY, path, below, otherwise)


def _tariff(path: str = "tariff_id") -> Concern:
    return Concern(Named.TARIFF, path)


def _route(path: str = "route_id") -> Concern:
    return Concern(Named.ROUTE, path)


def _reads(scope: str, *concerns: Concern, least: Level = Level.SIMPLE_USER, own: bool = False) -> Right:
    return Right(f"{scope}:read", least, concerns, own)


def _writes(scope: str, *concerns: Concern, least: Level = Level.RESELLER) -> Right:
    return Right(f"{scope}:write", least, concerns)


def _system(scope: str, what: str = "write") -> Right:
    """About the whole installation, for who manages it."""
    return Right(f"{scope}:{what}", Level.ADMIN)


_KEY: Final = Concern(Named.KEY, "name", otherwise=Otherwise.OWN)
_DID: Final = Concern(Named.NUMBER, "number")
_SERVICE: Final = Concern(Named.SERVICE, "service_id")
_SUBSCRIPTION: Final = Concern(Named.SUBSCRIPTION, "subscription_id")
_RULES: Final = Concern(Named.RULES, "number")
_SIMS: Final = Right("sims:write", Level.SIMPLE_USER, own=True)  # whose a card is, its service looks up
_TICKETS: Final = Right("tickets:write", Level.SIMPLE_USER, own=True)  # of whom it is a side, its services say
_MONEY: Final = Right("money:write", Level.ADMIN, (_line(),), money=True)
_MONEY_BETWEEN: Final = Right("money:write", Level.ADMIN, (_line(), _line("to_login")), money=True)
_ACCOUNT_BELOW: Final = Concern(Named.ACCOUNT, "number", below=True)
_CALLS: Final = (
    _line("wanted.login"),
    _line("wanted.account_of"),
    _party("wanted.owner", otherwise=Otherwise.ALL),
)

ACTIONS: Final[Mapping[str, Right]] = {
    "parties.create": Right("users:write", Level.RESELLER, (_party("new.owner"),), own_tariff=("new.tariff",)),
    "parties.show": _reads("users", _party()),
    "parties.page": _reads("users", _party("wanted.owner"), least=Level.RESELLER, own=True),
    "parties.change": Right(
        "users:write",
        Level.SIMPLE_USER,
        (_party(),),
        admins_only=("changes.account",),
        own_tariff=("changes.tariff",),
    ),
    "parties.set_status": _writes("users", _party(below=True)),
    "parties.hide_logs": _writes("users", _party(), least=Level.SIMPLE_USER),
    "parties.logs_since": _reads("users", _party()),
    "parties.delete": _writes("users", _party(below=True)),
    "parties.set_password": _writes("keys", _party(), least=Level.SIMPLE_USER),
    "keys.add": _writes("keys", _party("new.owner")),
    "keys.show": _reads("keys", _KEY, least=Level.RESELLER),
    "keys.page": _reads("keys", least=Level.RESELLER, own=True),
    "keys.change": _writes("keys", _KEY),
    "keys.revoke": _writes("keys", _KEY),
    "hash_secrets.put": _system("keys"),
    "hash_secrets.show": _system("keys", "read"),
    "hash_secrets.page": _system("keys", "read"),
    "hash_secrets.change": _system("keys"),
    "permission_groups.add": _system("users"),
    "permission_groups.show": _system("users", "read"),
    "permission_groups.page": _system("users", "read"),
    "permission_groups.set": _system("users"),
    "permission_groups.remove": _system("users"),
    "permission_groups.give": _system("users"),
    "bans.add": _system("bans"),
    "bans.show": _system("bans", "read"),
    "bans.page": _system("bans", "read"),
    "bans.set_permanent": _system("bans"),
    "bans.remove": _system("bans"),
    "bans.flush": _system("bans"),
    "sim_cards.page": _reads("sims", own=True),
    "sim_cards.of_asker": _reads("users", own=True),
    "sim_cards.show": _reads("sims", own=True),
    "sim_cards.add": _system("sims"),
    "sim_cards.remove": _system("sims"),
    "sim_cards.reseal": _system("sims"),
    "sim_cards.bind": _SIMS,
    "sim_cards.unbind": _SIMS,
    "sim_cards.change": _SIMS,
    "sim_cards.notify": _SIMS,
    "exchange_queries.ask": Right("exchanges:write", Level.RESELLER, own=True),  # each query has a level of its own
    "exchange_files.update": _system("exchanges"),
    "exchange_files.restore": _system("exchanges"),
    "exchange_files.list": _system("exchanges", "read"),
    "speech.say": Right("speech:write", Level.SIMPLE_USER, own=True),  # of which keys, it says itself
    "gsm.ask": Right("gsm:write", Level.ANYBODY, own=True),  # for which keys, the surface says
    "news.page": _reads("news", least=Level.ANYBODY, own=True),
    "news.broadcasts": _reads("users", own=True),
    "news.add": _system("news"),
    "news.change": _system("news"),
    "news.remove": _system("news"),
    "tickets.open": _TICKETS,
    "tickets.answer": _TICKETS,
    "tickets.page": _reads("tickets", own=True),
    "tickets.unread": _reads("users", own=True),
    "tickets.show": _reads("tickets", own=True),
    "tickets.read": _reads("tickets", own=True),
    "tickets.mark_unread": _TICKETS,
    "tickets.set_closed": _TICKETS,
    "tickets.assign": Right("tickets:write", Level.RESELLER, own=True),
    "tickets.remove": _system("tickets"),
    "tickets.remove_of": _system("tickets"),
    "tickets.remove_message": _system("tickets"),
    "audit.page": _reads("audit", least=Level.RESELLER, own=True),
    "accounts.create": Right(
        "accounts:write",
        Level.RESELLER,
        (_party("new.owner"),),
        admins_only=("new.balance", "new.credit"),
        own_tariff=("new.tariff",),
    ),
    "accounts.give": _system("accounts"),
    "accounts.show": _reads("accounts", _line()),
    "accounts.page": _reads("accounts", _party("owner"), least=Level.RESELLER, own=True),
    "accounts.subscribers": _reads("accounts", _line("account_of", otherwise=Otherwise.OWN), least=Level.SIMPLE_USER),
    "accounts.line": _reads("accounts", _party()),
    "accounts.lines": _reads("accounts", _party()),
    "accounts.change": Right(
        "accounts:write",
        Level.RESELLER,
        (_line(below=True),),
        admins_only=("settings.overdraft", "settings.allow_loss"),
    ),
    "accounts.block": _writes("accounts", _line(below=True)),
    "accounts.unblock": _writes("accounts", _line(below=True)),
    "accounts.add_subscriber": Right(
        "accounts:write", Level.RESELLER, (_line("new.account_of"),), own_tariff=("new.tariff",)
    ),
    "accounts.block_subscriber": _writes("accounts", _line(below=True)),
    "accounts.unblock_subscriber": _writes("accounts", _line(below=True)),
    "accounts.top_up": _MONEY,
    "accounts.adjust": _MONEY,
    "accounts.close": _MONEY,
    "accounts.close_empty": _writes("accounts", _line(below=True)),
    "accounts.numbered": _reads("accounts", own=True),
    "accounts.statement": _reads("accounts", _line()),
    # From a user's own account, or one below it: nobody makes money by it.
    "transfers.send": Right("money:write", Level.SIMPLE_USER, (_party(),), money=True),
    "transfers.converted": _reads("money", own=True),
    "codes.create": Right("codes:write", Level.SIMPLE_USER, (_party(),), money=True),
    "codes.page": _reads("codes", _party()),
    "codes.count": _reads("codes", _party()),
    "codes.activate": Right("codes:write", Level.SIMPLE_USER, (_party(),), money=True),
    "codes.delete": Right("codes:write", Level.SIMPLE_USER, (_party(),), money=True),
    "codes.reseal": _system("codes"),
    "taxes.page": _reads("taxes", least=Level.RESELLER, own=True),
    "taxes.show": _reads("taxes", least=Level.RESELLER, own=True),
    "taxes.add": _system("taxes"),
    "taxes.remove": _system("taxes"),
    "transfers.between": _MONEY_BETWEEN,
    "transfers.endow": Right("money:write", Level.RESELLER, (_party(), _line()), money=True),
    "transfers.top_up": Right("money:write", Level.RESELLER, (_party(), _line()), money=True),
    "transfers.set_balance": Right("money:write", Level.RESELLER, (_ACCOUNT_BELOW,), money=True),
    "account_imports.import_file": Right("money:write", Level.ADMIN, money=True),
    "paid_services.add": Right("services:write", Level.RESELLER, own=True),
    "paid_services.show": _reads("services", own=True),  # the name and price of what may be taken
    "paid_services.page": _reads("services", own=True),
    "paid_services.change": _writes("services", _SERVICE),
    "paid_services.remove": _writes("services", _SERVICE),
    # Which services an asker may give to whom, or take itself, the use case says.
    "subscriptions.subscribe": Right("services:write", Level.SIMPLE_USER, (_party("new.who"),), money=True),
    "subscriptions.subscribe_account": Right("services:write", Level.ADMIN, money=True),
    "subscriptions.show": _reads("services", _SUBSCRIPTION),
    "subscriptions.page": _reads("services", _party("wanted.who")),
    "subscriptions.change": Right("services:write", Level.RESELLER, (replace(_SUBSCRIPTION, below=True),), money=True),
    "subscriptions.end": Right("services:write", Level.RESELLER, (replace(_SUBSCRIPTION, below=True),), money=True),
    "subscriptions.turn": Right("services:write", Level.ADMIN, money=True),
    "exchanges.add": _system("exchanges"),
    "exchanges.show": _system("exchanges", "read"),
    "exchanges.page": _system("exchanges", "read"),
    "exchanges.change": _system("exchanges"),
    "exchanges.render": _system("exchanges"),
    "exchanges.give_role": _system("exchanges"),
    "sip_accounts.create": _writes("accounts", _party("new.owner"), least=Level.SIMPLE_USER),
    "sip_accounts.show": _reads("accounts", _line()),
    "sip_accounts.of": _reads("accounts", _party()),
    "sip_accounts.pitch_of": _reads("accounts", own=True),
    "sip_accounts.below": _reads("accounts", own=True),
    "sip_accounts.mains": _reads("accounts", least=Level.RESELLER, own=True),
    "sip_accounts.change": _writes("accounts", _line(), least=Level.SIMPLE_USER),
    "sip_accounts.delete": _writes("accounts", _line(), least=Level.SIMPLE_USER),
    "sip_accounts.numbered": _reads("accounts", own=True),
    "sip_accounts.pin_is_taken": _reads("accounts", least=Level.RESELLER, own=True),
    "known_callers.add": _writes("accounts", _line()),
    "known_callers.find": _reads("accounts", own=True),
    "known_callers.remove": Right("accounts:write", Level.RESELLER, own=True),
    "known_callers.page": _reads("accounts", _party()),
    "disa.authorize": _reads("accounts", own=True),
    "sip_accounts.available": _reads("accounts", own=True),
    "registrations.register": Right("users:write", Level.RESELLER, own=True),
    "sip_accounts.reseal": _system("accounts"),
    "webhooks.add": Right("webhooks:write", Level.RESELLER, own=True),
    "webhooks.page": _reads("webhooks", least=Level.RESELLER, own=True),
    "webhooks.rotate": Right("webhooks:write", Level.RESELLER, own=True),
    "webhooks.remove": Right("webhooks:write", Level.RESELLER, own=True),
    "tenant_billing.show": _reads("tenant_billing", least=Level.RESELLER, own=True),
    "tenant_billing.change": Right("tenant_billing:write", Level.RESELLER, own=True),
    "call_rates.add": Right("call_rates:write", Level.RESELLER, own=True),
    "call_rates.change": Right("call_rates:write", Level.RESELLER, own=True),
    "call_rates.remove": Right("call_rates:write", Level.RESELLER, own=True),
    "call_rates.show": _reads("call_rates", least=Level.RESELLER, own=True),
    "call_rates.search": _reads("call_rates", least=Level.RESELLER, own=True),
    "call_rates.export": _reads("call_rates", least=Level.RESELLER, own=True),
    "tariffs.add": _system("tariffs"),
    "tariffs.change": _system("tariffs"),
    "tariffs.mark_up": _system("tariffs"),
    "tariffs.page": _system("tariffs", "read"),
    "tariffs.show": _system("tariffs", "read"),
    "tariffs.time_zone": _system("tariffs", "read"),
    "bands.add": _system("tariffs"),
    "bands.add_holiday": _system("tariffs"),
    "bands.holidays": _system("tariffs", "read"),
    "bands.import_holidays": _system("tariffs"),
    "bands.remove": _system("tariffs"),
    "bands.remove_holiday": _system("tariffs"),
    "bands.replace": _system("tariffs"),
    "bands.windows": _system("tariffs", "read"),
    "packages.add": _system("tariffs"),
    "packages.groups": _system("tariffs", "read"),
    "packages.page": _system("tariffs", "read"),
    "packages.remove": _system("tariffs"),
    "packages.remove_group": _system("tariffs"),
    "packages.set_group": _system("tariffs"),
    "packages.usage": _reads("accounts", _line()),
    # An option or another tariff has a price, and may make calls cheaper than they cost.
    "options.grant": _MONEY,
    "options.page": _reads("accounts", _line()),
    "options.revoke": Right("accounts:write", Level.ADMIN, (_line(),)),
    "options.switch_tariff": _MONEY,
    "price_lists.page": _reads("tariffs", least=Level.ANYBODY, own=True),
    "price_lists.show": _reads("tariffs", least=Level.ANYBODY, own=True),
    "price_lists.add": Right("tariffs:write", Level.RESELLER, own=True),
    "price_lists.change": _writes("tariffs", _tariff()),
    "price_lists.remove": _writes("tariffs", _tariff()),
    "price_lists.switch": Right("tariffs:write", Level.SIMPLE_USER, (_line(),)),
    "price_lists.set_options": Right("tariffs:write", Level.SIMPLE_USER, (_line(),)),
    "price_lists.allowed": _reads("users", _party()),
    "price_lists.allow": _writes("users", _party(below=True)),
    "direction_prices.prices": _reads("tariffs", least=Level.ANYBODY, own=True),
    "direction_prices.add": _writes("tariffs", _tariff()),
    "direction_prices.change": _writes("tariffs", _tariff()),
    "direction_prices.remove": _writes("tariffs", _tariff()),
    "direction_prices.mark_up": _writes("tariffs", _tariff()),
    "direction_prices.copy": _writes("tariffs", _tariff()),
    "bill_types.page": _reads("tariffs", least=Level.RESELLER, own=True),
    "bill_types.show": _reads("tariffs", least=Level.RESELLER, own=True),
    "bill_types.add": _system("tariffs"),
    "bill_types.change": _system("tariffs"),
    "bill_types.remove": _system("tariffs"),
    "currencies.known": _reads("currencies", least=Level.ANYBODY, own=True),
    "currencies.show": _reads("currencies", least=Level.ANYBODY, own=True),
    "currencies.converter": _reads("currencies", least=Level.ANYBODY, own=True),
    "currencies.set": _system("tariffs"),
    "exchange.page": _system("tariffs", "read"),
    "exchange.remove": _system("tariffs"),
    "exchange.set": _system("tariffs"),
    "directions.set": _system("decks"),
    "directions.resolve": _reads("decks", least=Level.ANYBODY, own=True),
    "directions.page": _reads("decks", least=Level.ANYBODY, own=True),
    "directions.prefixes": _reads("decks", least=Level.ANYBODY, own=True),
    "numbering.add": _system("numbers"),
    "numbering.add_ready": _system("numbers"),
    "numbering.aliases": _reads("numbers", _line()),
    "numbering.change": _system("numbers"),
    "numbering.move_alias": _writes("numbers", _line(), _line("alias.login"), least=Level.SIMPLE_USER),
    "numbering.numbered_alias": _reads("numbers", own=True),
    "numbering.numbered_aliases": _reads("numbers", own=True),
    "numbering.page": _system("numbers", "read"),
    "numbering.numbered": _reads("numbers", own=True),
    "numbering.number_of": _reads("numbers", own=True),
    "numbering.remove": _system("numbers"),
    "numbering.remove_alias": _writes("numbers", _line(), least=Level.SIMPLE_USER),
    "numbering.rewrite": _system("numbers"),
    "numbering.set_alias": _writes("numbers", _line("alias.login"), least=Level.SIMPLE_USER),
    "dids.add": Right("dids:write", Level.RESELLER, (_party("new.owner", otherwise=Otherwise.ALL),)),
    "dids.show": _reads("dids", _DID),
    "dids.numbered": _reads("dids", own=True),
    "dids.set_limit": _writes("dids", _DID),
    "dids.page": _reads("dids", own=True),
    "dids.change": _writes("dids", replace(_DID, below=True), _party("changes.owner")),
    "dids.set_state": _writes("dids", _DID, least=Level.SIMPLE_USER),
    "dids.remove": _writes("dids", _DID),
    "dids.renew": Right("dids:write", Level.RESELLER, (_DID,), money=True),
    "dids.order": Right("dids:write", Level.SIMPLE_USER, (_party("owner"),), money=True),
    "dids.turn_rents": Right("dids:write", Level.ADMIN, money=True),
    "dids.converted": _reads("dids", own=True),
    "dids.countries": _reads("dids", own=True),
    "dids.areas": _reads("dids", own=True),
    "dids.offered": _reads("dids", own=True),
    "dids.access_numbers": _reads("dids", own=True),
    "dids.count": _reads("dids", own=True),
    "dids.set_inbound_price": _system("tariffs"),
    "dids.inbound_prices": _system("tariffs", "read"),
    "did_pools.add": _system("dids"),
    "did_pools.show": _system("dids", "read"),
    "did_pools.page": _system("dids", "read"),
    "did_pools.change": _system("dids"),
    "did_pools.remove": _system("dids"),
    "call_rules.list": _reads("dids", _RULES),
    "call_rules.find": _reads("dids", own=True),
    "call_rules.add": _writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.change": _writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.step": _writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.remove": _writes("dids", _RULES, least=Level.SIMPLE_USER),
    "call_rules.owner_line": _reads("dids", _RULES),
    "call_rules.next": _reads("dids", Concern(Named.RULES, "call.number")),
    "gateways.page": _reads("routes", least=Level.RESELLER, own=True),
    "gateways.show": _reads("routes", _route(), least=Level.RESELLER),
    "gateways.add": Right("routes:write", Level.RESELLER, own=True),
    "gateways.change": _writes("routes", _route()),
    "gateways.set_enabled": _writes("routes", _route()),
    "gateways.remove": _writes("routes", _route()),
    "gateways.trunks": _system("routes"),
    "routes.add": _system("routes"),
    "routes.add_window": _system("routes"),
    "routes.change": _system("routes"),
    "routes.clear_windows": _system("routes"),
    "routes.page": _system("routes", "read"),
    "routes.remove": _system("routes"),
    "routes.rule_prefixes": _system("routes"),
    "routes.set_enabled": _system("routes"),
    "routes.set_tariff_routes": _system("routes"),
    "routes.show": _system("routes", "read"),
    "routes.tariff_routes": _system("routes", "read"),
    "route_reports.loads": _system("routes", "read"),
    "route_reports.quality": _system("routes", "read"),
    "route_trials.try_call": _system("routes", "read"),
    "decks.compare_file": _system("decks", "read"),
    "decks.compare_versions": _system("decks", "read"),
    "decks.export": _system("decks", "read"),
    "decks.history": _system("decks", "read"),
    "decks.import_file": _system("decks"),
    "decks.page": _system("decks", "read"),
    "decks.roll_back": _system("decks"),
    "decks.time_zone": _system("decks", "read"),
    "decks.versions": _system("decks", "read"),
    "decks.withdraw": _system("decks"),
    "rate_edits.cancel": _system("decks"),
    "rate_edits.list_edits": _system("decks", "read"),
    "rate_edits.remove_rate": _system("decks"),
    "rate_edits.set_rate": _system("decks"),
    "line_quotes.quote": _reads("calls", _line()),
    "quotes.quote": _system("decks", "read"),
    "cdrs.page": _reads("calls", *_CALLS),
    "cdrs.show": _system("calls", "read"),
    "cdrs.export": _system("calls", "read"),
    "cdrs.sums": _reads("calls", *_CALLS),
    "call_posting.post": Right("money:write", Level.ADMIN, money=True),
    "live_calls.hang_up": _system("calls"),
    "live_calls.hang_up_own": Right("calls:write", Level.SIMPLE_USER, own=True),
    "live_calls.hang_up_line": Right("calls:write", Level.SIMPLE_USER, (_line(),)),
    "messages.send": Right("messages:write", Level.SIMPLE_USER, (_line("new.login"),)),
    "messages.query": Right("messages:write", Level.SIMPLE_USER, (_line(),)),
    "messages.show": _reads("messages", own=True),  # whose it is, its service looks up
    "messages.page": _reads("messages", _party("wanted.owner")),
    "messages.read": Right("messages:write", Level.SIMPLE_USER, own=True),
    "messages.report": Right("messages:write", Level.ANYBODY, own=True),  # for which keys, the surface says
    "messages.set_report": Right("messages:write", Level.SIMPLE_USER, own=True),
    "message_prices.set": _writes("tariffs", _tariff()),
    "message_prices.remove": _writes("tariffs", _tariff()),
    "message_prices.page": _reads("tariffs", _tariff(), least=Level.RESELLER),
    "callbacks.begin": Right("calls:write", Level.SIMPLE_USER, (_line("new.login"),)),
    "callbacks.order": Right("calls:write", Level.SIMPLE_USER, (_line("new.login"),)),
    "live_calls.page": _reads("calls", *_CALLS),
    "live_calls.suspicious": _system("calls", "read"),
    "live_calls.unfinished": _system("calls", "read"),
    "rerates.begin": _system("calls"),
    "rerates.discard": _system("calls"),
    "rerates.find": _system("calls", "read"),
    "rerates.page": _system("calls", "read"),
    "rerates.post": Right("money:write", Level.ADMIN, money=True),
    "rerates.read": _system("calls"),
    "rerates.show": _system("calls", "read"),
    "simulations.simulate": _system("calls", "read"),
    "maintenance.run": Right("maintenance:write", Level.SIMPLE_USER, own=True),  # of which key, it says itself
    "doctor.examine": _system("system", "read"),
    "doctor.prove_laws": _system("system", "read"),
    "doctor.schema_problem": _system("system", "read"),
    "doctor.totals": _system("system", "read"),
}
