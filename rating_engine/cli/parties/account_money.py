"""`rating-engine account adjust`, `transfer`, `close`: a balance put right by hand, money sent to another account, an
account that is used no more."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, print_json, reported_errors, say, with_services
from rating_engine.cli.parties.accounts import Login, state_json
from rating_engine.domain.account import Closing, Settlement
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.money import format_amount

# An amount below zero begins as an option does.
AMOUNT_BELOW_ZERO: Final = {"ignore_unknown_options": True}


def adjust(
    login: Login,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the account's currency; -5 takes 5 away.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stands in the statement.")],
    reference: Annotated[
        str | None, typer.Option(help="Posted once, however often the command is repeated with it.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a balance right, up or down, by an entry of its own: a mistaken top-up is taken back so.

    What is taken away has to be there: what calls hold, and what is spent, stays paid.
    """
    with reported_errors():
        value = words.amount(amount, "amount")
    done = with_services(
        config, lambda services: services.accounts.adjust(login, value, reason=reason, reference=reference)
    )
    balance = format_amount(done.balance)
    if json:
        print_json({"login": login, "balance": balance, "posted": done.posted})
    else:
        told = "adjusted" if done.posted else f"reference {reference!r} was posted before, nothing changed"
        say(f"{told}; balance {balance}")


def transfer(
    login: Login,
    to_login: Annotated[str, typer.Argument(metavar="TO_LOGIN", help="Who gets it: a login of the other account.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the currency of the account that pays.")],
    comment: Annotated[str, typer.Option(metavar="TEXT", help="Stands in both statements.")] = "",
    reference: Annotated[
        str | None, typer.Option(help="Sent once, however often the command is repeated with it.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Send money from one account to another: rating-engine account transfer 1001 1002 5 --reference gift-7

    What is sent has to be there, calls keep what they hold. Where the currencies differ, the other account gets it by
    the exchange rate of this moment.
    """
    with reported_errors():
        value = words.amount(amount, "amount")
    done = with_services(
        config,
        lambda services: services.transfers.between(login, to_login, value, comment=comment, reference=reference),
    )
    if json:
        print_json(
            {"transfer": done.transfer_id, "login": login, "to_login": to_login, "amount": format_amount(done.amount),
             "currency": done.currency, "amount_to": format_amount(done.amount_to), "currency_to": done.currency_to,
             "state": done.state.value, "repeated": done.repeated}
        )  # fmt: skip
        return
    told = f"{format_amount(done.amount)} {done.currency} of {login}: {to_login} gets {format_amount(done.amount_to)} "
    told += f"{done.currency_to} (transfer {done.transfer_id}, {done.state})"
    say(f"reference {reference!r} was sent before; {told}" if done.repeated else told)


def close(
    login: Login,
    paid_out: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="What is above zero was paid out: by which payment.")
    ] = None,
    written_off: Annotated[
        str | None, typer.Option(metavar="REASON", help="What is above or below zero is written off: why.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Close the account of a login for good: none of its logins calls again, its balance is 0, its history stays.

    Refused while calls are open, and while there is a balance of which nobody says what becomes of it.
    """
    with reported_errors():
        closing = _closing(paid_out, written_off)
    done = with_services(config, lambda services: services.accounts.close(login, closing))
    if json:
        print_json({**state_json(done.state), "settled": format_amount(done.settled), "repeated": done.repeated})
        return
    if done.repeated:
        say(f"the account of {login} was closed before; nothing changed")
        return
    about = "" if closing is None or not done.settled else f"; {format_amount(done.settled)} {done.state.currency} "
    say(f"the account of {login} is closed{about}{closing.settlement if about and closing else ''}")


def _closing(paid_out: str | None, written_off: str | None) -> Closing | None:
    if paid_out is not None and written_off is not None:
        raise InvalidRequest("paid_out", "say one of --paid-out and --written-off")
    if paid_out is not None:
        return Closing(Settlement.PAID_OUT, paid_out)
    return None if written_off is None else Closing(Settlement.WRITTEN_OFF, written_off)
