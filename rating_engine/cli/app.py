"""The table of commands."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from rating_engine.cli.calls.call import call
from rating_engine.cli.calls.calls import calls_app, hang_up
from rating_engine.cli.calls.calls_post import post
from rating_engine.cli.calls.cdrs import cdrs_app
from rating_engine.cli.calls.refused import refused
from rating_engine.cli.calls.rerate import rerate_app
from rating_engine.cli.calls.simulate import simulate
from rating_engine.cli.calls.spool import spool_app
from rating_engine.cli.cards.cards import cards_app
from rating_engine.cli.cards.groups import groups_app as card_groups_app
from rating_engine.cli.cards.taxes import taxes_app
from rating_engine.cli.decks.import_from import import_from
from rating_engine.cli.decks.rate import rate
from rating_engine.cli.decks.rate_diff import diff
from rating_engine.cli.decks.rate_edits import cancel, edits, remove, set_
from rating_engine.cli.decks.rate_import import import_
from rating_engine.cli.decks.rate_versions import export, history, rollback, withdraw
from rating_engine.cli.decks.rates import rates_app
from rating_engine.cli.numbers import number_pools
from rating_engine.cli.numbers.call_rules import rules_app
from rating_engine.cli.numbers.dids import dids_app, pools_app
from rating_engine.cli.numbers.messages import messages_app
from rating_engine.cli.numbers.number_scores import blacklist_app
from rating_engine.cli.numbers.numbering import aliases_app, numbering_app
from rating_engine.cli.papers.invoices import invoices_app
from rating_engine.cli.papers.payments import credit_notes_app, payments_app
from rating_engine.cli.parties import warnings
from rating_engine.cli.parties.account_import import import_ as import_accounts
from rating_engine.cli.parties.account_money import AMOUNT_BELOW_ZERO, adjust, close, transfer
from rating_engine.cli.parties.accounts import accounts_app
from rating_engine.cli.parties.audit import audit
from rating_engine.cli.parties.bans import bans_app
from rating_engine.cli.parties.codes import codes_app
from rating_engine.cli.parties.keys import keys_app
from rating_engine.cli.parties.minimum_spends import minimum
from rating_engine.cli.parties.monitorings import monitorings_app
from rating_engine.cli.parties.mor import mor_app
from rating_engine.cli.parties.options import options_app, tariff
from rating_engine.cli.parties.paid_services import services_app
from rating_engine.cli.parties.permissions import permissions_app
from rating_engine.cli.parties.subscribers import subscribers_app
from rating_engine.cli.parties.subscriptions import subscriptions_app
from rating_engine.cli.parties.support import mails_app, sims_app, tickets_app
from rating_engine.cli.parties.users import users_app
from rating_engine.cli.parties.webhooks import webhooks_app
from rating_engine.cli.phones import exchange_files
from rating_engine.cli.phones import exchanges as asterisks
from rating_engine.cli.phones.phones import phones_app
from rating_engine.cli.process.data import data_app
from rating_engine.cli.process.demo import demo
from rating_engine.cli.process.doctor import doctor
from rating_engine.cli.process.mail_templates import mail_templates_app
from rating_engine.cli.process.serve import migrate, serve
from rating_engine.cli.routes.route_figures import load, quality
from rating_engine.cli.routes.route_plans import route_plans_app
from rating_engine.cli.routes.route_try import try_
from rating_engine.cli.routes.routes import routes_app
from rating_engine.cli.routes.trunks import trunks
from rating_engine.cli.tariffs.bands import band, bands, holidays_app, unband
from rating_engine.cli.tariffs.directions import direction
from rating_engine.cli.tariffs.exchange import exchange_app
from rating_engine.cli.tariffs.offers import offers_app
from rating_engine.cli.tariffs.packages import groups_app, packages_app
from rating_engine.cli.tariffs.tariffs import tariffs_app
from rating_engine.telemetry.logs import configure_logging

app = typer.Typer(
    name="rating-engine",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback is for the log of a bug, with plain lines that can be pasted
    help="Real-time rating and charging for Asterisk.",
    epilog="Begin with: rating-engine demo. Then: rating-engine serve --embedded",
)

app.command(epilog="Example: rating-engine demo --calls 1000")(demo)
app.command(epilog="Example: rating-engine serve --config /etc/rating_engine.toml --workers 2")(serve)
app.command(epilog="Example: RATING_DATABASE_URL=postgresql://re@db/re rating-engine migrate")(migrate)
app.add_typer(accounts_app, name="account")
app.add_typer(codes_app, name="code")
app.add_typer(taxes_app, name="tax")
app.add_typer(card_groups_app, name="card-group")
app.add_typer(cards_app, name="card")
app.add_typer(subscribers_app, name="subscriber")
app.add_typer(users_app, name="user")
app.add_typer(keys_app, name="key")
app.add_typer(permissions_app, name="permission")
app.add_typer(mail_templates_app, name="mail-template")
app.add_typer(mor_app, name="mor")
app.add_typer(monitorings_app, name="monitoring")
app.add_typer(bans_app, name="ban")
app.add_typer(webhooks_app, name="webhook")
app.command(epilog="Example: rating-engine audit --subject 1001 --from 2026-11-01")(audit)
app.add_typer(rates_app, name="rates")
rates_app.command("import", epilog="Example: rating-engine rates import deck.csv --tariff retail --currency EUR")(
    import_
)
rates_app.command(epilog="Example: rating-engine rates diff retail new.csv")(diff)
rates_app.command(epilog="Example: rating-engine rates rollback retail --to 3")(rollback)
rates_app.command(epilog="Example: rating-engine rates withdraw retail 4")(withdraw)
rates_app.command(epilog="Example: rating-engine rates export retail retail.xlsx")(export)
rates_app.command(epilog="Example: rating-engine rates history 7901 --tariff retail")(history)
rates_app.command(
    "set",
    epilog="Example: rating-engine rates set retail 4915 --price 0.09 --increments 60/1 --direction Mobile",
)(set_)
rates_app.command(epilog="Example: rating-engine rates remove retail 4915")(remove)
rates_app.command(epilog="Example: rating-engine rates cancel retail 4915 2026-12-24T00:00")(cancel)
rates_app.command(epilog="Example: rating-engine rates edits retail")(edits)
app.command(epilog="Example: rating-engine rate 79010000001 --tariff retail --seconds 61")(rate)
app.add_typer(tariffs_app, name="tariff")
tariffs_app.command(
    epilog="Example: rating-engine tariff band retail --band peak --days mon-fri --from 08:00 --to 20:00"
)(band)
tariffs_app.command(epilog="Example: rating-engine tariff bands retail")(bands)
tariffs_app.command(epilog="Example: rating-engine tariff unband retail 1")(unband)
app.add_typer(holidays_app, name="holidays")
app.add_typer(options_app, name="option")
accounts_app.command(
    epilog='Example: rating-engine account adjust 1001 -25.00 --reason "topped up twice" --reference undo-4711',
    context_settings=AMOUNT_BELOW_ZERO,
)(adjust)
accounts_app.command(epilog="Example: rating-engine account transfer 1001 1002 5.00 --reference gift-7")(transfer)
accounts_app.command("import", epilog="Example: rating-engine account import accounts.csv --tariff retail --dry-run")(
    import_accounts
)
accounts_app.command(epilog='Example: rating-engine account close 1001 --paid-out "transfer 815"')(close)
accounts_app.command(epilog="Example: rating-engine account tariff 1001 gold --reference order-17")(tariff)
app.add_typer(packages_app, name="package")
app.add_typer(groups_app, name="direction-group")
app.add_typer(exchange_app, name="exchange")
exchange_app.command(epilog="Example: rating-engine exchange add pbx1 --address 192.0.2.10 --dns-name sip.example.com")(
    asterisks.add
)
exchange_app.command(epilog="Example: rating-engine exchange servers")(asterisks.servers)
exchange_app.command(epilog="Example: rating-engine exchange show pbx1")(asterisks.show)
exchange_app.command(epilog="Example: rating-engine exchange change pbx1 --enabled no")(asterisks.change)
exchange_app.command(epilog="Example: rating-engine exchange role pbx1")(asterisks.role)
exchange_app.command(epilog="Example: rating-engine exchange render pjsip pbx1 --check")(asterisks.render)
exchange_app.command(epilog="Example: rating-engine exchange files pbx1")(exchange_files.files)
exchange_app.command(epilog="Example: rating-engine exchange update pbx1 https://files.example.org/rating.conf")(
    exchange_files.update
)
exchange_app.command(epilog="Example: rating-engine exchange restore pbx1")(exchange_files.restore)
app.add_typer(phones_app, name="phone")
app.add_typer(numbering_app, name="numbering")
app.add_typer(aliases_app, name="alias")
app.add_typer(dids_app, name="did")
app.add_typer(rules_app, name="did-rule")
app.add_typer(pools_app, name="did-pool")
app.add_typer(number_pools.number_pools_app, name="number-pool")
app.add_typer(blacklist_app, name="blacklist")
app.add_typer(warnings.sounds_app, name="sound")
users_app.command(epilog="Example: rating-engine user warning anna --hour 9 --sound 2")(warnings.warning)
users_app.command(epilog="Example: rating-engine user minimum anna 10.00 --from 2026-12-01")(minimum)
users_app.command(epilog="Example: rating-engine user lists anna --destination blacklist:premium --source none")(
    number_pools.lists
)
app.add_typer(messages_app, name="message")
app.add_typer(mails_app, name="mail")
app.add_typer(tickets_app, name="ticket")
app.add_typer(sims_app, name="sim")
app.add_typer(services_app, name="service")
app.add_typer(offers_app, name="offer")
app.add_typer(subscriptions_app, name="subscription")
app.add_typer(invoices_app, name="invoice")
app.add_typer(payments_app, name="payment")
app.add_typer(credit_notes_app, name="credit-note")
app.add_typer(routes_app, name="routes")
app.add_typer(route_plans_app, name="route-plan")
routes_app.command("try", epilog="Example: rating-engine routes try 79010000001 --tariff retail --callerid 4930123456")(
    try_
)
routes_app.command(epilog="Example: rating-engine routes load")(load)
routes_app.command(epilog="Example: rating-engine routes quality --window 86400")(quality)
routes_app.command(epilog="Example: rating-engine routes trunks pbx1 > trunks.conf")(trunks)
app.command(epilog="Example: rating-engine direction RussiaMobile --min-len 11 --max-len 11")(direction)
app.add_typer(spool_app, name="spool")
app.add_typer(rerate_app, name="rerate")
app.command(epilog="Example: rating-engine simulate new.csv --tariff retail --from 2026-11-01 --to 2026-11-08")(
    simulate
)
app.command(epilog="Example: rating-engine call --login 1001 79010000001 --seconds 61")(call)
app.add_typer(calls_app, name="calls")
calls_app.command(epilog="Example: rating-engine calls refused --login 1001")(refused)
calls_app.command(epilog="Example: rating-engine calls post /var/log/asterisk/messages.log --dry-run")(post)
app.command("hangup", epilog="Example: rating-engine hangup pbx1/1764412345.17/1")(hang_up)
app.add_typer(cdrs_app, name="cdrs")
app.command("import-from", epilog="Example: rating-engine import-from a2billing dump.sql --dry-run")(import_from)
app.add_typer(data_app, name="data")
app.command(epilog="Example: rating-engine doctor --dialplan /etc/asterisk/extensions.conf")(doctor)


@app.callback()
def common(
    show_version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Real-time rating and charging for Asterisk."""
    if show_version:
        typer.echo(version("rating-engine"))
        raise typer.Exit


def main() -> None:
    """The entry point `rating-engine`. A command says in its own words what is wrong; layers log only their bugs."""
    configure_logging("console", "error", sys.stderr.buffer)
    app()
