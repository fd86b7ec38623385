"""Every use case in one place: what the command line, HTTP surfaces and pages are given, and ask.

Law: nobody asks as nobody. `Services` is made once a process; `of(principal)` is what one asker can do: each use case
is preceded by the question of domain/access, and what it changes stands in the audit log under its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from rating_engine.domain.addresses import Network
from rating_engine.domain.principal import Principal
from rating_engine.services.audit import Audit
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.line_quote import LineQuotes
from rating_engine.services.calls.ports import utc_now
from rating_engine.services.calls.quote import Quotes
from rating_engine.services.calls.refused_calls import RefusedCalls
from rating_engine.services.calls.route_trial import RouteTrials
from rating_engine.services.cdrs.listing import Cdrs
from rating_engine.services.cdrs.posting import CallPosting
from rating_engine.services.cdrs.rerates import Rerates
from rating_engine.services.cdrs.simulation import Simulations
from rating_engine.services.decks.decks import Decks
from rating_engine.services.decks.edits import RateEdits
from rating_engine.services.doctor import Doctor, Installation
from rating_engine.services.finance.calling_cards import CallingCards
from rating_engine.services.finance.card_groups import CardGroups
from rating_engine.services.finance.card_sales import CardSales
from rating_engine.services.finance.codes import Codes
from rating_engine.services.finance.credit_notes import CreditNotes
from rating_engine.services.finance.guesses import Guesses
from rating_engine.services.finance.invitations import Invitations
from rating_engine.services.finance.invoices import Invoices
from rating_engine.services.finance.minimum_spends import MinimumSpends
from rating_engine.services.finance.paid_services import PaidServices
from rating_engine.services.finance.payments import Payments, PaymentWays
from rating_engine.services.finance.printing import Printer
from rating_engine.services.finance.statements import Statements
from rating_engine.services.finance.subscriptions import Subscriptions
from rating_engine.services.finance.taxes import Taxes
from rating_engine.services.finance.transfers import Transfers
from rating_engine.services.integrity import Integrity, Places
from rating_engine.services.maintenance import Maintenance, Upkeep, steps_of
from rating_engine.services.messaging.carriers import Carriers
from rating_engine.services.messaging.incoming import IncomingMessages
from rating_engine.services.messaging.messages import Messages
from rating_engine.services.messaging.notices import CarrierNotices
from rating_engine.services.messaging.prices import MessagePrices
from rating_engine.services.messaging.sip_messages import SipMessages
from rating_engine.services.messaging.sms_users import SmsUsers
from rating_engine.services.messaging.voice_messages import Sounds, VoiceMessages
from rating_engine.services.numbers.call_rules import CallRules
from rating_engine.services.numbers.dids import DidPools, Dids
from rating_engine.services.numbers.number_pools import NumberPools
from rating_engine.services.numbers.number_scores import NumberScores
from rating_engine.services.numbers.number_stock import NumberStock
from rating_engine.services.numbers.numbering import Numbering
from rating_engine.services.numbers.phonebooks import Phonebooks
from rating_engine.services.offers import TariffOffers
from rating_engine.services.parties.access import Access
from rating_engine.services.parties.account_import import AccountImports
from rating_engine.services.parties.accounts import Accounts
from rating_engine.services.parties.bans import BanBook, Bans, WrongKeys
from rating_engine.services.parties.defaults import PartyDefaults
from rating_engine.services.parties.details import Details
from rating_engine.services.parties.guard import Guard
from rating_engine.services.parties.hash_secrets import HashSecrets
from rating_engine.services.parties.keys import Keys
from rating_engine.services.parties.parties import Parties
from rating_engine.services.parties.passwords import Passwords
from rating_engine.services.parties.permission_groups import PermissionGroups
from rating_engine.services.parties.repeats import Repeats
from rating_engine.services.parties.request_limits import RequestLimits
from rating_engine.services.parties.signed_requests import HASHES_FOR_A_KEY, SignedRequests
from rating_engine.services.parties.telephone_balances import TelephoneBalances
from rating_engine.services.phones.disa import Disa
from rating_engine.services.phones.exchange_files import ExchangeFiles, Fetch
from rating_engine.services.phones.exchanges import Exchanges
from rating_engine.services.phones.known_callers import KnownCallers
from rating_engine.services.phones.queries import AskExchange, ExchangeQueries
from rating_engine.services.phones.registration import Registrations
from rating_engine.services.phones.rendering import Reload, TrunkSections, never_reloads
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.phones.sip_accounts import SipAccounts
from rating_engine.services.recordings import NO_RECORDINGS, RecordingFiles, RecordingLinks, Recordings
from rating_engine.services.routes.figures import RouteReports
from rating_engine.services.routes.gateways import Gateways
from rating_engine.services.routes.pjsip_trunks import sections_text
from rating_engine.services.routes.route_plans import RoutePlans
from rating_engine.services.routes.routes import Routes
from rating_engine.services.support.gsm import Gsm, GsmRequests
from rating_engine.services.support.mail_templates import MailTemplates
from rating_engine.services.support.mails import Mails
from rating_engine.services.support.monitorings import Monitorings
from rating_engine.services.support.news import News
from rating_engine.services.support.sim_cards import SimCards
from rating_engine.services.support.speech import Speaker, Speech
from rating_engine.services.support.tickets import Tickets
from rating_engine.services.support.warning_sounds import WarningSounds
from rating_engine.services.tariffs.bands import Bands
from rating_engine.services.tariffs.bill_types import BillTypes
from rating_engine.services.tariffs.currencies import Currencies
from rating_engine.services.tariffs.direction_prices import DirectionPrices
from rating_engine.services.tariffs.directions import Directions
from rating_engine.services.tariffs.exchange import Exchange
from rating_engine.services.tariffs.options import Options
from rating_engine.services.tariffs.packages import Packages
from rating_engine.services.tariffs.price_lists import PriceLists
from rating_engine.services.tariffs.settings import Tariffs
from rating_engine.services.tenants.billing import Billing
from rating_engine.services.tenants.call_rates import CallRates
from rating_engine.services.watch.callbacks import Callbacks
from rating_engine.services.watch.live_calls import LiveCalls
from rating_engine.services.webhooks.webhooks import Webhooks
from rating_engine.storage.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class UseCases:
    """What one principal asks. Light: made anew for each request."""

    parties: Parties
    keys: Keys
    details: Details
    defaults: PartyDefaults
    phonebooks: Phonebooks
    sms_users: SmsUsers
    mail_templates: MailTemplates
    hash_secrets: HashSecrets
    permission_groups: PermissionGroups
    minimum_spends: MinimumSpends
    monitorings: Monitorings
    bans: Bans
    sim_cards: SimCards
    gsm: GsmRequests
    speech: Speech
    news: News
    tickets: Tickets
    mails: Mails
    audit: Audit
    accounts: Accounts
    account_imports: AccountImports
    transfers: Transfers
    codes: Codes
    payments: Payments
    invoices: Invoices
    credit_notes: CreditNotes
    statements: Statements
    taxes: Taxes
    card_groups: CardGroups
    cards: CallingCards
    card_sales: CardSales
    paid_services: PaidServices
    subscriptions: Subscriptions
    exchanges: Exchanges
    exchange_queries: ExchangeQueries
    exchange_files: ExchangeFiles
    sip_accounts: SipAccounts
    known_callers: KnownCallers
    disa: Disa
    registrations: Registrations
    tenant_billing: Billing
    webhooks: Webhooks
    call_rates: CallRates
    tariffs: Tariffs
    bands: Bands
    packages: Packages
    options: Options
    exchange: Exchange
    currencies: Currencies
    directions: Directions
    bill_types: BillTypes
    price_lists: PriceLists
    direction_prices: DirectionPrices
    numbering: Numbering
    dids: Dids
    did_pools: DidPools
    number_pools: NumberPools
    number_scores: NumberScores
    warning_sounds: WarningSounds
    call_rules: CallRules
    number_stock: NumberStock
    recordings: Recordings
    tariff_offers: TariffOffers
    gateways: Gateways
    routes: Routes
    route_plans: RoutePlans
    route_reports: RouteReports
    route_trials: RouteTrials
    decks: Decks
    rate_edits: RateEdits
    quotes: Quotes
    line_quotes: LineQuotes
    cdrs: Cdrs
    call_posting: CallPosting
    live_calls: LiveCalls
    refused_calls: RefusedCalls
    callbacks: Callbacks
    messages: Messages
    message_prices: MessagePrices
    sip_messages: SipMessages
    voice_messages: VoiceMessages
    incoming_messages: IncomingMessages
    rerates: Rerates
    simulations: Simulations
    maintenance: Maintenance
    doctor: Doctor
    integrity: Integrity


@dataclass(frozen=True, slots=True)
class Ways:
    """How the engine's settings have it: what the use cases need to know of them."""

    database_url: str
    ledger_buckets: int
    international_prefix: str
    system_currency: str
    route_quality_window_seconds: int
    deck_unserved_percent: int
    policy: ChargingPolicy
    installation: Installation
    places: Places
    ban_wrong_keys: int
    ban_window_seconds: int
    ban_seconds: int
    upkeep: Upkeep
    gsm: Gsm
    speaker: Speaker
    ask_exchange: AskExchange
    payments: PaymentWays
    print_invoice: Printer
    fetch_file: Fetch
    carriers: Carriers
    voice: Sounds
    secret_keys: tuple[str, ...] = ()
    reload_phones: Reload = never_reloads
    mor_https_only: bool = False
    proxies: tuple[Network, ...] = ()
    recordings: RecordingFiles = NO_RECORDINGS
    exchange_hosts: Mapping[str, str] = field(default_factory=dict)
    webhook_private_hosts: tuple[str, ...] = ()


class Services:
    """The use cases of one process over its office database."""

    def __init__(self, office: Database, ways: Ways, limits: RequestLimits | None = None) -> None:
        """`limits`: how often may be asked; None: any number of times, as in a command."""
        self._office = office
        self._ways = ways
        self._steps = steps_of(office, utc_now, ways.upkeep)
        self._passwords = Passwords()
        self._secrets = SecretBox(ways.secret_keys)
        self._bans = bans = BanBook(office, proxies=ways.proxies, exchanges=ways.exchange_hosts)
        self._wrong_keys = WrongKeys(
            office,
            bans,
            number=ways.ban_wrong_keys,
            within_seconds=ways.ban_window_seconds,
            ban_seconds=ways.ban_seconds,
        )
        self.access = Access(office, self._passwords, bans, self._wrong_keys, limits)  # who asks: asked before `of`
        self.recording_links = RecordingLinks(office, ways.recordings, utc_now)  # who has one needs no more
        self.signed = SignedRequests(office, self.access, self._secrets, self._wrong_hashes(bans), limits)
        self.repeats = Repeats(office, self._secrets)
        self.telephone_balances = TelephoneBalances(office, self._secrets, self._wrong_keys)
        # What nobody yet may ask, bounded by itself.
        self.invitations = Invitations(office, self._passwords, self._secrets, self._wrong_keys)

    def _wrong_hashes(self, bans: BanBook) -> WrongKeys:
        return WrongKeys(
            self._office,
            bans,
            number=self._ways.ban_wrong_keys * HASHES_FOR_A_KEY,
            within_seconds=self._ways.ban_window_seconds,
            ban_seconds=self._ways.ban_seconds,
        )

    def of(self, principal: Principal) -> UseCases:
        """What `principal` can ask."""
        whole = self._whole(principal)
        guard = Guard(self._office, principal)
        return UseCases(**{each.name: guard.guarded(each.name, getattr(whole, each.name)) for each in fields(UseCases)})

    def _whole(self, principal: Principal) -> UseCases:
        """Every use case, before anybody is asked whether the principal may."""
        return UseCases(
            **self._of_people(principal),
            **self._of_money(principal),
            **self._of_numbers(principal),
            **self._of_calls(principal),
        )

    def _of_people(self, principal: Principal) -> dict[str, Any]:
        """Who asks, whose phones there are, and what is written to and from people."""
        office, ways = self._office, self._ways
        return {
            "parties": Parties(office, principal, self._passwords),
            "keys": Keys(office, principal),
            "details": Details(office, principal),
            "defaults": PartyDefaults(office, principal),
            "phonebooks": Phonebooks(office, principal),
            "sms_users": SmsUsers(office, principal),
            "mail_templates": MailTemplates(office, principal),
            "hash_secrets": HashSecrets(office, principal, self._secrets),
            "permission_groups": PermissionGroups(office, principal),
            "monitorings": Monitorings(office, principal, utc_now, system_currency=ways.system_currency),
            "bans": Bans(office, principal, self._bans),
            "sim_cards": SimCards(office, principal, self._secrets, ways.gsm, CarrierNotices(office, ways.carriers)),
            "gsm": GsmRequests(ways.gsm),
            "speech": Speech(principal, ways.speaker),
            "news": News(office, principal),
            "tickets": Tickets(office, principal),
            "mails": Mails(office),
            "warning_sounds": WarningSounds(office, principal),
            "messages": Messages(office, principal, ways.carriers, utc_now),
            "sip_messages": SipMessages(office, principal, ways.ask_exchange),
            "voice_messages": VoiceMessages(office, principal, ways.speaker, ways.voice),
            "incoming_messages": IncomingMessages(office, principal, utc_now),
            "message_prices": MessagePrices(office, principal),
            "audit": Audit(office, principal),
            "exchanges": Exchanges(
                office, principal, ways.reload_phones, partial(_trunks_of, Gateways(office, principal, self._secrets))
            ),
            "exchange_queries": ExchangeQueries(office, principal, ways.ask_exchange),
            "exchange_files": ExchangeFiles(
                office, principal, fetch=ways.fetch_file, check=ways.installation.dialplan.check, ask=ways.ask_exchange
            ),
            "sip_accounts": SipAccounts(office, principal, self._secrets, buckets=ways.ledger_buckets),
            "known_callers": KnownCallers(office, principal),
            "disa": Disa(office, principal),
            "registrations": Registrations(
                office, principal, self._passwords, self._secrets, buckets=ways.ledger_buckets
            ),
            "tenant_billing": Billing(office, principal),
            "webhooks": Webhooks(office, principal, self._secrets, ways.webhook_private_hosts),
            "call_rates": CallRates(office, principal),
        }

    def _of_money(self, principal: Principal) -> dict[str, Any]:
        """Whose money there is, what moves it, and the papers of it."""
        office, ways = self._office, self._ways
        return {
            "accounts": Accounts(office, principal, buckets=ways.ledger_buckets),
            "account_imports": AccountImports(office, principal, buckets=ways.ledger_buckets),
            "transfers": Transfers(office, principal, system_currency=ways.system_currency),
            "codes": Codes(
                office,
                principal,
                self._secrets,
                Guesses(office, principal, self._secrets, self._wrong_keys),
                system_currency=ways.system_currency,
            ),
            "payments": Payments(office, principal, ways.payments, utc_now),
            "invoices": Invoices(office, principal, utc_now, ways.print_invoice, days=ways.payments.days),
            "credit_notes": CreditNotes(office, principal, system_currency=ways.system_currency),
            "statements": Statements(office, principal, system_currency=ways.system_currency),
            "taxes": Taxes(office, principal),
            "card_groups": CardGroups(office, principal),
            "cards": CallingCards(office, principal, self._secrets, buckets=ways.ledger_buckets),
            "card_sales": CardSales(office, principal, self._secrets),
            "paid_services": PaidServices(office, principal, currency=ways.system_currency),
            "subscriptions": Subscriptions(office, principal, utc_now),
            "minimum_spends": MinimumSpends(office, principal, utc_now, system_currency=ways.system_currency),
        }

    def _of_calls(self, principal: Principal) -> dict[str, Any]:
        """What calls cost, where they go, and what is known of them."""
        office, ways, prefix = self._office, self._ways, self._ways.international_prefix
        return {
            "tariffs": Tariffs(office, principal),
            "bands": Bands(office, principal),
            "packages": Packages(office, principal),
            "options": Options(office, principal),
            "exchange": Exchange(office, principal),
            "currencies": Currencies(office, principal, system=ways.system_currency),
            "directions": Directions(office, principal, international_prefix=prefix),
            "bill_types": BillTypes(office, principal),
            "price_lists": PriceLists(office, principal, currency=ways.system_currency),
            "direction_prices": DirectionPrices(office, principal, currency=ways.system_currency),
            "gateways": Gateways(office, principal, self._secrets),
            "routes": Routes(office, principal),
            "route_plans": RoutePlans(office, principal),
            "route_reports": RouteReports(office, window_seconds=ways.route_quality_window_seconds),
            "route_trials": RouteTrials(office, international_prefix=prefix),
            "decks": self._decks(principal),
            "rate_edits": RateEdits(office, principal),
            "quotes": Quotes(office, international_prefix=prefix),
            "line_quotes": LineQuotes(office, ways.policy, ways.installation.default_route),
            "cdrs": Cdrs(office, buckets=ways.ledger_buckets),
            "call_posting": CallPosting(office, principal, buckets=ways.ledger_buckets, international_prefix=prefix),
            "refused_calls": RefusedCalls(office),
            "live_calls": LiveCalls(office, principal, buckets=ways.ledger_buckets),
            "callbacks": Callbacks(office, principal),
            "rerates": Rerates(office, principal, international_prefix=prefix),
            "simulations": Simulations(office, ways.database_url, international_prefix=prefix),
            "maintenance": Maintenance(office, principal, self._steps),
            "doctor": Doctor(office, ways.installation),
            "integrity": Integrity(office, self._secrets, ways.places, https_only=ways.mor_https_only),
        }

    def _of_numbers(self, principal: Principal) -> dict[str, Any]:
        office, currency = self._office, self._ways.system_currency
        return {
            "numbering": Numbering(office, principal),
            "dids": Dids(office, principal, utc_now, currency=currency),
            "did_pools": DidPools(office, principal, currency=currency),
            "number_pools": NumberPools(office, principal),
            "number_scores": NumberScores(office, principal),
            "call_rules": CallRules(office, principal, utc_now),
            "number_stock": NumberStock(office, utc_now),
            "tariff_offers": TariffOffers(office, principal, utc_now),
            "recordings": Recordings(office, principal, self._ways.recordings, utc_now),
        }

    def _decks(self, principal: Principal) -> Decks:
        ways = self._ways
        return Decks(
            self._office,
            ways.database_url,
            principal,
            international_prefix=ways.international_prefix,
            unserved_percent=ways.deck_unserved_percent,
        )


async def _trunks_of(gateways: Gateways, exchange: str) -> TrunkSections:
    trunks = await gateways.trunks(exchange)
    return TrunkSections(frozenset(trunk.name for trunk in trunks), sections_text(trunks))
