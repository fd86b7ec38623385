"""The money laws of schema.sql, asked of the whole database. Read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rating_engine.storage.postgres.pool import Database

WORST_SHOWN: Final = 20  # breaches listed of each law: enough to see the pattern, few enough to read


@dataclass(frozen=True, slots=True)
class Law:
    """A statement about every row, the query that finds the rows that break it, and how to mend one."""

    name: str
    claim: str
    query: str
    mend: str


@dataclass(frozen=True, slots=True)
class Breach:
    """One row that breaks a law, in words."""

    law: str
    what: str
    mend: str


LAWS: Final = (
    Law(
        "reserved",
        "the sum of open reservations = reserved, and their number = open_calls, of those paid for as a reseller too",
        """
        SELECT format('account %s/%s: reserved %s, but its open reservations hold %s; open_calls %s, but %s are open',
                      a.bucket, a.account_id, a.reserved, COALESCE(r.held, 0), a.open_calls, COALESCE(r.calls, 0))
        FROM accounts a FULL JOIN (
            SELECT bucket, account_id, sum(held) AS held, count(*) AS calls FROM (
                SELECT bucket, account_id, held FROM open_calls
                UNION ALL
                SELECT o.bucket, p.account_id, p.held FROM open_calls o, unnest(o.resellers, o.resellers_held)
                    AS p(account_id, tariff_id, deck_id, prefix, rate_key, exchange, held)
            ) AS payers GROUP BY 1, 2
        ) r USING (bucket, account_id)
        WHERE a.reserved IS DISTINCT FROM COALESCE(r.held, 0) OR a.open_calls IS DISTINCT FROM COALESCE(r.calls, 0)
        """,
        "set accounts.reserved and open_calls to what the reservations say, in one transaction, and find who wrote it",
    ),
    Law(
        "balance",
        "the sum of ledger entries = balance",
        """
        SELECT format('account %s/%s: balance %s, but its ledger entries sum to %s',
                      a.bucket, a.account_id, a.balance, COALESCE(l.total, 0))
        FROM accounts a FULL JOIN (
            SELECT bucket, account_id, sum(amount) AS total FROM ledger_entries GROUP BY 1, 2
        ) l USING (bucket, account_id)
        WHERE a.balance IS DISTINCT FROM COALESCE(l.total, 0)
        """,
        "accounts.balance was changed without an entry: set it back to the sum, then post a correction if one is due",
    ),
    Law(
        "balance_after",
        "every ledger entry's balance_after = the one before + its amount",
        """
        SELECT format('account %s/%s: entry %s says balance_after %s, but %s and %s give %s', bucket, account_id,
                      entry_id, balance_after, before, amount, before + amount)
        FROM (
            SELECT *, COALESCE(lag(balance_after) OVER (PARTITION BY bucket, account_id ORDER BY entry_id), 0) AS before
            FROM ledger_entries
        ) e WHERE balance_after <> before + amount
        """,
        "an entry was written past post_entry_v2() and settle_v5(): restore it from a backup",
    ),
    Law(
        "charged_once",
        "a CDR's cost = its entries in the ledger, on each account that pays; no call is charged to one twice",
        """
        SELECT format('call %s: its CDR says %s for account %s, its ledger entries %s (%s charges)',
                      call_key, c.cost, account_id, COALESCE(l.total, 0), COALESCE(l.charges, 0))
        FROM (
            SELECT bucket, call_key, account_id, cost FROM call_records
            UNION ALL SELECT bucket, call_key, account_id, cost FROM reseller_records
        ) c FULL JOIN (
            SELECT bucket, call_key, account_id, -sum(amount) AS total,
                   count(*) FILTER (WHERE kind = 'charge') AS charges
            FROM ledger_entries WHERE call_key IS NOT NULL GROUP BY 1, 2, 3
        ) l USING (bucket, call_key, account_id)
        WHERE c.cost IS DISTINCT FROM COALESCE(l.total, 0) OR l.charges > 1
        """,
        "post a correction for the difference",
    ),
    Law(
        "resellers_charged",
        "an ended call has a line for each reseller that pays for it, and for nobody else",
        """
        SELECT format('call %s: its resellers are on the accounts %s, its lines on %s', call_key,
                      COALESCE(c.accounts, '{}'), COALESCE(l.accounts, '{}'))
        FROM (
            SELECT bucket, call_key, ARRAY(
                SELECT p.account_id FROM unnest(resellers) WITH ORDINALITY p ORDER BY p.ordinality) AS accounts
            FROM call_records WHERE resellers IS NOT NULL
        ) c FULL JOIN (
            SELECT bucket, call_key, array_agg(account_id ORDER BY level) AS accounts
            FROM reseller_records GROUP BY 1, 2
        ) l USING (bucket, call_key)
        WHERE c.accounts IS DISTINCT FROM l.accounts
        """,
        "post a correction to the account of the line that is missing, and find who wrote it",
    ),
    Law(
        "one_state",
        "a call is open or ended, never both, unless it expired",
        """
        SELECT format('call %s is open and has a CDR', call_key)
        FROM open_calls JOIN call_records USING (bucket, call_key)
        """,
        "delete the reservation and lower accounts.reserved by what it holds, in one transaction",
    ),
    Law(
        "never_negative",
        "balance + overdraft - reserved >= 0, but for counted overruns and corrections",
        """
        SELECT format('account %s/%s: available is %s, but only %s of overruns and corrections are counted', a.bucket,
                      a.account_id, a.balance + a.overdraft - a.reserved, COALESCE(o.total, 0) + COALESCE(d.total, 0))
        FROM accounts a
        LEFT JOIN (
            SELECT bucket, account_id, sum(overrun) AS total FROM (
                SELECT bucket, account_id, overrun FROM call_records WHERE overrun > 0
                UNION ALL SELECT bucket, account_id, overrun FROM reseller_records WHERE overrun > 0
            ) AS overruns GROUP BY 1, 2
        ) o USING (bucket, account_id)
        LEFT JOIN (
            SELECT bucket, account_id, -sum(amount) AS total FROM ledger_entries
            WHERE kind = 'correction' AND amount < 0 AND call_key IS NULL GROUP BY 1, 2
        ) d USING (bucket, account_id)
        WHERE a.balance + a.overdraft - a.reserved + COALESCE(o.total, 0) + COALESCE(d.total, 0) < 0
        """,
        "lower overdrafts only as far as the balance allows, or top the account up",
    ),
    Law(
        "transfers",
        "what a transfer took, its receiver was given at the frozen rate, or its sender has it back, once",
        """
        SELECT format('transfer %s (%s): took %s of %s and its fee %s, gave %s of %s, gave back %s', transfer_id,
                      COALESCE(t.state, 'has no row'), COALESCE(e.taken, 0), t.amount, t.fee, COALESCE(e.given, 0),
                      t.amount_to, COALESCE(e.back, 0))
        FROM transfers t FULL JOIN (
            SELECT split_part(reference, ':', 2)::bigint AS transfer_id,
                   -sum(amount) FILTER (WHERE reference LIKE '%:out') AS taken,
                   sum(amount) FILTER (WHERE reference LIKE '%:in') AS given,
                   sum(amount) FILTER (WHERE reference LIKE '%:back') AS back
            FROM ledger_entries WHERE kind = 'transfer' GROUP BY 1
        ) e USING (transfer_id)
        WHERE t.transfer_id IS NULL OR e.taken IS DISTINCT FROM t.amount + t.fee
           OR t.amount_to <> trunc(t.amount * t.exchange_rate, 6)
           OR COALESCE(e.given, 0) <> t.amount_to AND (t.state = 'done' OR e.given IS NOT NULL)
           OR e.given IS NOT NULL AND t.state = 'returned'
           OR COALESCE(e.back, 0) <> CASE WHEN t.state = 'returned' THEN t.amount + t.fee ELSE 0 END
        """,
        "find who wrote past send_transfer_v1(); post an adjustment for the difference",
    ),
    Law(
        "messages",
        "each who pays for a message was taken its price, once, and has it back where it was not sent",
        """
        SELECT format('message %s (%s): account %s/%s was taken %s of its price %s, and given back %s', message_id,
                      COALESCE(m.state, 'has no row'), bucket, account_id, COALESCE(e.taken, 0), m.price,
                      COALESCE(e.back, 0))
        FROM (
            SELECT bucket, p.account_id, message_id, state, p.price
            FROM messages, unnest(accounts, prices) AS p(account_id, price)
        ) m FULL JOIN (
            SELECT bucket, account_id, split_part(reference, ':', 2)::bigint AS message_id,
                   -sum(amount) FILTER (WHERE reference NOT LIKE '%:back') AS taken,
                   sum(amount) FILTER (WHERE reference LIKE '%:back') AS back
            FROM ledger_entries WHERE kind = 'fee' AND reference LIKE 'message:%' GROUP BY 1, 2, 3
        ) e USING (bucket, account_id, message_id)
        WHERE m.price IS NULL OR COALESCE(e.taken, 0) <> m.price
           OR COALESCE(e.back, 0) <> CASE WHEN m.state = 'failed' THEN m.price ELSE 0 END
        """,
        "find who wrote past send_message_v2() and end_message_v1(); post an adjustment for the difference",
    ),
    Law(
        "messages_end",
        "no message is handed over for longer than ten minutes",
        """
        SELECT format('message %s: is being handed to %s since %s', message_id, carrier, lease_until)
        FROM messages WHERE state = 'sending' AND lease_until < now() - interval '10 minutes'
        """,
        "an engine gives its money back by itself within seconds; if one is running, its log says why it does not",
    ),
    Law(
        "transfers_end",
        "no transfer is on its way for longer than ten minutes",
        """
        SELECT format('transfer %s: %s of account %s have been on their way to account %s since %s', transfer_id,
                      amount, account_id, to_account_id, sent_at)
        FROM transfers WHERE state = 'sent' AND sent_at < now() - interval '10 minutes'
        """,
        "an engine ends it by itself within seconds; if one is running, its log says why it does not",
    ),
    Law(
        "payments",
        "a payment that was confirmed is one top-up of what it credits, and no other top-up says it is a payment",
        """
        SELECT format('account %s/%s, payment %s (%s): credits %s, topped up %s by %s entries', bucket, account_id,
                      COALESCE(p.payment_id::text, e.reference), COALESCE(p.state, 'has no row'),
                      COALESCE(p.credited, 0), COALESCE(e.amount, 0), COALESCE(e.entries, 0))
        FROM (SELECT *, format('payment:%s:%s', method, transaction) AS reference FROM payments) p FULL JOIN (
            SELECT bucket, account_id, reference, sum(amount) AS amount, count(*) AS entries FROM ledger_entries
            WHERE kind = 'topup' AND reference LIKE 'payment:%' GROUP BY 1, 2, 3
        ) e USING (bucket, account_id, reference)
        WHERE COALESCE(e.amount, 0) <> CASE WHEN p.state = 'confirmed' THEN p.credited ELSE 0 END
           OR (p.state IS NOT DISTINCT FROM 'confirmed') <> (COALESCE(e.entries, 0) = 1)
        """,
        "find who wrote past confirm_payment_v1(); post an adjustment for the difference",
    ),
    Law(
        "credit_notes",
        "a credit note that is paid was credited to its account, and any other was not",
        """
        SELECT format('credit note %s of account %s/%s is %s: %s of %s were credited', credit_note_id, bucket,
                      account_id, state, COALESCE(e.amount, 0), credited)
        FROM credit_notes c LEFT JOIN (
            SELECT bucket, account_id, split_part(reference, ':', 2)::bigint AS credit_note_id, sum(amount) AS amount
            FROM ledger_entries WHERE reference LIKE 'credit\\_note:%' AND reference NOT LIKE '%:of:%' GROUP BY 1, 2, 3
        ) e USING (bucket, account_id, credit_note_id)
        WHERE COALESCE(e.amount, 0) <> CASE WHEN state = 'paid' THEN credited ELSE 0 END
        """,
        "find who wrote past set_credit_note_v1(); post an adjustment for the difference",
    ),
    Law(
        "paper_numbers",
        "invoices, payment requests and credit notes of one issuer are numbered from 1 on without a gap",
        """
        SELECT format('%s of issuer %s: %s papers, the last number is %s, taken are %s', series, issuer_id,
                      COALESCE(papers, 0), COALESCE(highest, 0), COALESCE(last_number, 0))
        FROM paper_numbers FULL JOIN (
            SELECT issuer_id, series, count(*) AS papers, max(number) AS highest FROM (
                SELECT issuer_id, kind AS series, number FROM invoices
                UNION ALL SELECT issuer_id, 'credit_note', number FROM credit_notes) AS p GROUP BY 1, 2
        ) n USING (issuer_id, series)
        WHERE COALESCE(papers, 0) <> COALESCE(last_number, 0) OR COALESCE(highest, 0) <> COALESCE(last_number, 0)
        """,
        "a row was deleted by hand: restore it from a backup, cancelled if need be",
    ),
    Law(
        "invoices",
        "a monthly invoice is what its ledger entries come to, to the last digit",
        """
        SELECT format('invoice %s of account %s/%s: from %s to %s by lines that come to %s, net %s; its entries: %s',
                      invoice_id, bucket, account_id, opening, closing, COALESCE(l.moved, 0), net, COALESCE(e.moved, 0))
        FROM invoices i LEFT JOIN LATERAL (
            SELECT sum(CASE WHEN kind IN ('calls', 'rerated', 'messages', 'fees') THEN -amount ELSE amount END)
                       AS moved,
                   sum(amount) FILTER (WHERE kind IN ('calls', 'rerated', 'messages', 'fees')) AS sold
            FROM invoice_lines WHERE bucket = i.bucket AND invoice_id = i.invoice_id) l ON true
        LEFT JOIN LATERAL (
            SELECT sum(amount) AS moved FROM ledger_entries
            WHERE bucket = i.bucket AND account_id = i.account_id AND entry_id > from_entry AND entry_id <= to_entry
        ) e ON true
        WHERE i.kind = 'monthly' AND (COALESCE(l.moved, 0) <> closing - opening OR COALESCE(l.sold, 0) <> net
                                      OR COALESCE(e.moved, 0) <> closing - opening)
        """,
        "cancel it, and have the month invoiced anew",
    ),
    Law(
        "cards",
        "a card that may be used was given what it was sold for, once",
        """
        SELECT format('card %s of sale %s: it was to be given %s, and was given so %s times',
                      c.card_id, s.sale_id, s.net, count(g.reference))
        FROM calling_cards c JOIN card_sales s USING (sale_id) LEFT JOIN (
            SELECT bucket, account_id, reference FROM ledger_entries WHERE reference ~ '^card:[0-9]+:sale:'
            UNION ALL
            SELECT to_bucket, to_account_id, reference FROM transfers
              WHERE reference ~ '^card:[0-9]+:sale:' AND state = 'done'
        ) g ON (g.bucket, g.account_id, g.reference)
               = (c.bucket, c.account_id, format('card:%s:sale:%s', c.card_id, s.sale_id))
        WHERE c.funded_at IS NOT NULL AND s.net > 0
        GROUP BY c.card_id, s.sale_id, s.net HAVING count(g.reference) <> 1
        """,
        "post what is missing with that reference, or take back what is too much; find who wrote past Funding.fund()",
    ),
    Law(
        "subscriptions",
        "what a subscription was charged last stands in the ledger of its account, and in no other one",
        """
        SELECT format('subscription %s of account %s/%s, last charged as %s: %s', COALESCE(u.subscription_id, l.id),
                      COALESCE(u.bucket, l.bucket), COALESCE(u.account_id, l.account_id), u.last_reference,
                      CASE WHEN u.subscription_id IS NULL THEN 'has no row' ELSE 'has no entry' END)
        FROM service_subscriptions u FULL JOIN (
            SELECT bucket, account_id, split_part(reference, ':', 2)::bigint AS id, array_agg(reference) AS refs
            FROM ledger_entries WHERE kind = 'fee' AND reference ~ '^subscription:[0-9]{1,18}:' GROUP BY 1, 2, 3
        ) l ON (l.bucket, l.account_id, l.id) = (u.bucket, u.account_id, u.subscription_id)
        WHERE u.subscription_id IS NULL
           OR u.last_reference IS NOT NULL AND u.last_reference <> ALL (COALESCE(l.refs, '{}'))
        """,
        "find who wrote past charge_subscription_v1(); post an adjustment for the difference",
    ),
    Law(
        "packages",
        "of a package, held = what open calls hold and used = what ended calls used, never more than its allowance",
        """
        SELECT format('package %s of subscriber %s from %s: held %s, but open calls hold %s; used %s, but CDRs used %s',
                      package_id, subscriber_id, period_start, p.held, COALESCE(o.seconds, 0), p.used,
                      COALESCE(c.seconds, 0))
        FROM package_usage p FULL JOIN (
            SELECT bucket, subscriber_id, use.package_id, use.period_start, sum(use.seconds) AS seconds
            FROM open_calls, unnest(packages) use GROUP BY 1, 2, 3, 4
        ) o USING (bucket, subscriber_id, package_id, period_start) FULL JOIN (
            SELECT bucket, subscriber_id, use.package_id, use.period_start, sum(use.seconds) AS seconds
            FROM call_records, unnest(packages) use GROUP BY 1, 2, 3, 4
        ) c USING (bucket, subscriber_id, package_id, period_start)
        WHERE COALESCE(p.held, 0) <> COALESCE(o.seconds, 0) OR COALESCE(p.used, 0) <> COALESCE(c.seconds, 0)
        """,
        "set package_usage.held and used to what the calls say, in one transaction, and find who wrote it",
    ),
    Law(
        "route_load",
        "a limited route carries as many calls as are open by it",
        """
        SELECT format('route %s in bucket %s: open_calls %s, but %s are open', route_id, bucket, l.open_calls,
                      COALESCE(r.calls, 0))
        FROM route_load l FULL JOIN (
            SELECT bucket, route_id, count(*) AS calls FROM open_calls WHERE route_id IS NOT NULL GROUP BY 1, 2
        ) r USING (bucket, route_id)
        WHERE COALESCE(l.open_calls, 0) <> COALESCE(r.calls, 0)
        UNION ALL
        SELECT format('route %s: %s calls are leased to buckets, but its limit is %s', route_id, l.leased, r.max_calls)
        FROM route_limits r JOIN (
            SELECT route_id, sum(lease_calls) AS leased, sum(open_calls) AS open_calls FROM route_load GROUP BY 1
        ) l USING (route_id)
        WHERE r.shared AND l.leased > GREATEST(r.max_calls, l.open_calls)
        """,
        "set route_load.open_calls to the number of open reservations by the route",
    ),
    Law(
        "subscriber_load",
        "a login whose calls are counted has as many as are open",
        """
        SELECT format('subscriber %s: open_calls %s, but %s are open', l.subscriber_id, l.open_calls,
                      COALESCE(r.calls, 0))
        FROM subscriber_load l LEFT JOIN (
            SELECT bucket, subscriber_id, count(*) AS calls FROM open_calls GROUP BY 1, 2
        ) r USING (bucket, subscriber_id)
        WHERE l.open_calls <> COALESCE(r.calls, 0)
        """,
        "delete the row of subscriber_load: it is counted anew at the next call",
    ),
    Law(
        "logins",
        "every login is in the bucket that the catalogue says",
        """
        SELECT format('login %s: its subscriber is in bucket %s, the catalogue says %s', s.login, s.bucket, l.bucket)
        FROM subscribers s LEFT JOIN logins l USING (login) WHERE l.bucket IS DISTINCT FROM s.bucket
        """,
        "write the bucket of the subscriber into logins",
    ),
    Law(
        "charged_whole",
        "every call was charged all that it cost",
        """
        SELECT format('call %s: %s of its cost is charged, %s is more than an amount or the balance can be',
                      call_key, cost, uncharged)
        FROM (
            SELECT call_key, cost, uncharged FROM call_records WHERE uncharged > 0
            UNION ALL SELECT call_key, cost, uncharged FROM reseller_records WHERE uncharged > 0
        ) AS charged
        """,
        "look at the rate of the call; settle what is left with the customer, and set call_records.uncharged to 0",
    ),
    Law(
        "rated",
        "every answered call has a price",
        """
        SELECT format('call %s: %s seconds to %s without a rate, charged nothing', call_key, seconds, destination)
        FROM call_records WHERE source = 'unrated'
        UNION ALL
        SELECT format('call %s: %s seconds to %s without a rate of a reseller (account %s), charged nothing on it',
                      call_key, c.seconds, c.destination, r.account_id)
        FROM reseller_records r JOIN call_records c USING (bucket, call_key)
        WHERE r.rate_key IS NULL AND r.cost = 0 AND c.seconds > 0
        """,
        "import a rate for the destination, and post a correction for the call",
    ),
    Law(
        "published",
        "every published deck holds the rates it says",
        """
        SELECT format('tariff %s: version %s of its deck should hold %s rates', t.name, d.version, d.rate_count)
        FROM tariffs t JOIN rate_decks d USING (tariff_id)
        WHERE d.state = 'published' AND d.rate_count <> (SELECT count(*) FROM rates r WHERE r.deck_id = d.deck_id)
        """,
        "import the deck again",
    ),
)


async def breaches_of(database: Database, law: Law) -> list[Breach]:
    """The first rows that break a law; empty where it holds. Errors: Unavailable."""
    async with database.connection() as connection:
        # The audit reads whole tables: the statement deadline of a call does not fit it.
        rows = await connection.fetch(f"SELECT * FROM ({law.query}) AS breach LIMIT {WORST_SHOWN}", timeout=600)  # noqa: S608
    return [Breach(law.name, row[0], law.mend) for row in rows]


async def open_reservations(database: Database) -> int:
    """How many calls hold money now, over all buckets. Errors: Unavailable."""
    return int(await database.fetchval("SELECT count(*) FROM open_calls"))


async def dialplan_values(database: Database) -> list[tuple[str, str]]:
    """Every stored text by which the dialplan dials, as (what it is, value), distinct.

    The name of a direction is none: it is only shown, and carriers write brackets and apostrophes into it.
    """
    rows = await database.fetch(
        """
        SELECT 'route', name FROM routes
        UNION SELECT 'dial_prefix of route ' || name, dial_prefix FROM routes
        UNION SELECT 'callerid of ' || login, callerid FROM subscribers WHERE callerid <> ''
        """
    )
    return [(row[0], row[1]) for row in rows]
