"""Lines with their phones, as they are read and changed. What an exchange is told of them are the views ps_*."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import orjson

from rating_engine.domain.page import MAX_LIMIT
from rating_engine.domain.sip_account import ADDITIONAL_DIGITS, FIRST_MAIN, ExtensionTaken, SipAccount
from rating_engine.storage.parties.logins import Place, unknown_login
from rating_engine.storage.phones.phone_states import phone_state
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

PHONE_COLUMNS: Final = (
    "exchange_id", "secret", "md5_cred", "label", "email", "is_primary", "transport", "srtp", "reachable",
    "redirect_to", "host", "disa_pin", "trusted_cli", "trust_is_given", "force_callback", "pitch_shift", "language",
    "context", "max_contacts", "dtmf_mode", "allow", "endpoint_options", "technology", "secret_hash",
)  # fmt: skip
CALLS_GO_BY: Final = frozenset({"force_callback", "trusted_cli"})  # what callPrepare is planned by too
LINE_COLUMNS: Final = ("callerid", "max_seconds", "login", "numbering_plan")

# A line whose phone was deleted is none any more.
_LINES: Final = """
    SELECT s.login, s.subscriber_id AS line_id, COALESCE(p.technology, 'SIP') AS technology, s.numbering_plan,
           s.party_id AS owner_id, o.login AS owner, s.account_id, s.tariff_id, t.name AS tariff,
           ARRAY(SELECT DISTINCT c.tariff_id FROM subscriber_options c
                 WHERE c.bucket = s.bucket AND c.subscriber_id = s.subscriber_id
                   AND now() >= c.effective_from AND now() < c.effective_to ORDER BY 1) AS options,
           s.callerid, s.max_seconds, x.name AS exchange, COALESCE(x.address, '') AS address,
           COALESCE(x.dns_name, '') AS dns_name, COALESCE(x.realm, '') AS realm,
           p.md5_cred IS NOT NULL AS has_password, p.secret, p.label, p.email, p.is_primary, p.transport, p.srtp,
           p.reachable, p.redirect_to, p.host, p.disa_pin, p.trusted_cli, p.trust_is_given,
           p.force_callback, p.pitch_shift, p.language,
           p.context, p.max_contacts, p.dtmf_mode, p.allow, p.endpoint_options::text, p.updated_at,
           EXISTS (SELECT 1 FROM phones v WHERE v.login = s.login) AS in_service,
           COALESCE(w.watched_until > now() - interval '1 minute' AND w.phones_read_at > now() - interval '15 minutes',
                    false) AS state_known,
           r.online AS state_online, r.contact AS state_contact, r.user_agent AS state_user_agent,
           r.contacts AS state_contacts, r.registered_at AS state_registered_at, r.changed_at AS state_changed_at
    FROM subscribers s JOIN parties o ON o.party_id = s.party_id JOIN tariffs t ON t.tariff_id = s.tariff_id
    LEFT JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    LEFT JOIN exchanges x ON x.exchange_id = p.exchange_id
    LEFT JOIN exchange_watch w ON w.exchange = x.name
    LEFT JOIN phone_states r ON r.exchange = x.name AND r.login = s.login
          AND r.registered_at >= p.created_at  -- a number that was given up tells its next owner nothing
    WHERE p.deleted_at IS NULL"""
_BY_LOGIN: Final = f"{_LINES} AND s.login = $2 AND s.bucket = $1"
_BY_NUMBER: Final = f"{_LINES} AND s.subscriber_id = $1"
_OF_PARTIES: Final = f"""
    {_LINES} AND ($1::bigint[] IS NULL OR s.party_id = ANY ($1))
    ORDER BY s.party_id, COALESCE(p.is_primary, false) DESC, lower(s.login) <> lower(o.login), s.subscriber_id LIMIT $2
"""
# Of each party the first of those.
_MAINS: Final = f"""
    {_LINES.replace("SELECT", "SELECT DISTINCT ON (s.party_id)", 1)} AND ($1::bigint[] IS NULL OR s.party_id = ANY ($1))
    ORDER BY s.party_id, COALESCE(p.is_primary, false) DESC, lower(s.login) <> lower(o.login), s.subscriber_id LIMIT $2
"""
# The nearest one above that has one; else the only one that is sold, which carriers' and options' are not.
_TARIFF: Final = """
    SELECT COALESCE(
        (SELECT t.name FROM unnest(parties_above($1)) WITH ORDINALITY AS above(party_id, place)
         JOIN parties p USING (party_id) JOIN tariffs t ON t.tariff_id = p.tariff_id ORDER BY place LIMIT 1),
        (SELECT min(t.name) FROM tariffs t WHERE NOT t.is_option
           AND NOT EXISTS (SELECT FROM routes r WHERE r.cost_tariff_id = t.tariff_id) HAVING count(*) = 1))
"""
_PITCH: Final = """
    SELECT p.pitch_shift FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    WHERE l.login = $1 AND ($2::bigint = 1 OR $2 = ANY (parties_above(s.party_id)))
"""
_PLACE: Final = """
    SELECT s.bucket, s.account_id, s.subscriber_id, s.status = 'active' AS active, s.party_id, p.deleted_at,
           p.subscriber_id IS NOT NULL AS has_phone
    FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    LEFT JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    WHERE l.login = $1
"""
_EXCHANGE: Final = """
    SELECT x.name FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    JOIN exchanges x ON x.exchange_id = p.exchange_id
    WHERE l.login = $1 AND p.deleted_at IS NULL AND x.enabled
"""
_HOLD: Final = "SELECT 1 FROM subscribers WHERE bucket = $1 AND subscriber_id = $2 FOR NO KEY UPDATE"
_TOUCH: Final = "UPDATE subscribers SET version = version WHERE bucket = $1 AND subscriber_id = $2"
_IN_CALL: Final = "SELECT 1 FROM open_calls WHERE bucket = $1 AND account_id = $2 AND subscriber_id = $3 LIMIT 1"
_PUT: Final = """
    INSERT INTO sip_accounts (bucket, subscriber_id, exchange_id) VALUES ($1, $2, $3)
    ON CONFLICT (bucket, subscriber_id) DO UPDATE SET deleted_at = NULL, exchange_id = EXCLUDED.exchange_id
"""
_DELETE: Final = """
    UPDATE sip_accounts SET
           deleted_at = now(), updated_at = now(), secret = NULL, md5_cred = NULL, secret_hash = NULL, host = '',
           disa_pin = '', trusted_cli = '', force_callback = false, redirect_to = ''
    WHERE bucket = $1 AND subscriber_id = $2
"""
_FORGET_CALLERS: Final = "DELETE FROM known_callers WHERE subscriber_id = $1"
_FORGET_RULES: Final = "DELETE FROM call_rules WHERE subscriber_id = $1"
_SET_STATUS: Final = "UPDATE subscribers SET status = $3::party_status WHERE bucket = $1 AND subscriber_id = $2"
_CLAIM: Final = "INSERT INTO logins (login, bucket) VALUES ($1, $2) ON CONFLICT (login) DO NOTHING RETURNING login"
_GIVE_UP: Final = """
    DELETE FROM logins USING subscribers s
    WHERE s.bucket = $1 AND s.subscriber_id = $2 AND logins.login = s.login
"""
_GIVEN_UP: Final = """
    SELECT s.login FROM subscribers s JOIN sip_accounts p USING (bucket, subscriber_id)
    WHERE s.party_id = $1 AND p.deleted_at IS NOT NULL AND s.login ~ '^[0-9]{5}$' ORDER BY s.subscriber_id LIMIT 1
"""
_FREE: Final = """
    SELECT n::text FROM generate_series($1::bigint, $2::bigint) AS n
    WHERE NOT EXISTS (SELECT 1 FROM logins l WHERE l.login = n::text) ORDER BY n LIMIT 1
"""
_SECRETS: Final = """
    SELECT bucket, subscriber_id, secret FROM sip_accounts WHERE secret IS NOT NULL
      AND ($1::smallint IS NULL OR (bucket, subscriber_id) > ($1, $2)) ORDER BY bucket, subscriber_id LIMIT $3
"""
_SET_SECRETS: Final = """
    UPDATE sip_accounts p SET secret = new.secret
    FROM unnest($1::smallint[], $2::bigint[], $3::bytea[], $4::bytea[]) AS new(bucket, subscriber_id, before, secret)
    WHERE p.bucket = new.bucket AND p.subscriber_id = new.subscriber_id AND p.secret = new.before
"""


class Held:
    """A line that is held until the transaction ends."""

    def __init__(self, row: asyncpg.Record) -> None:
        self.place = Place(row["bucket"], row["account_id"], row["subscriber_id"])
        self.owner_id: int = row["party_id"]
        self.is_active: bool = row["active"]
        self.has_phone: bool = row["has_phone"]
        self.was_deleted: bool = row["deleted_at"] is not None


async def exchange_of_line(questions: Questions, login: str) -> str | None:
    """The exchange of a line's telephone; None: it has none. Errors: Unavailable."""
    name: str | None = await questions.fetchval(_EXCHANGE, login)
    return name


async def find_line(questions: Questions, login: str) -> tuple[SipAccount, bytes | None]:
    """A line with its phone, and the password of that as it is kept. Errors: NotFound, Unavailable."""
    bucket = await questions.fetchval("SELECT bucket FROM logins WHERE login = $1", login)
    row = None if bucket is None else await questions.fetchrow(_BY_LOGIN, bucket, login)
    if row is None:
        raise unknown_login(login)
    return _line_from_row(row)


async def line_numbered(questions: Questions, line_id: int) -> tuple[SipAccount, bytes | None] | None:
    """The same by its number; None: there is none. Errors: Unavailable."""
    row = await questions.fetchrow(_BY_NUMBER, line_id)
    return None if row is None else _line_from_row(row)


async def pin_is_taken(questions: Questions, pin: str) -> bool:
    """Whether some phone has this PIN. Errors: Unavailable."""
    taken = "SELECT 1 FROM sip_accounts WHERE disa_pin = $1 AND deleted_at IS NULL LIMIT 1"
    return await questions.fetchval(taken, pin) is not None


async def tariff_of_first_line(questions: Questions, party_id: int) -> str | None:
    """What a user's first line is priced by; None: that is not certain. Errors: Unavailable."""
    tariff: str | None = await questions.fetchval(_TARIFF, party_id)
    return tariff


async def pitch_of(questions: Questions, login: str, realm: int) -> int:
    """The pitch of the voice of a line below a party; -1: as it is. Errors: Unavailable."""
    pitch: int | None = await questions.fetchval(_PITCH, login, realm)
    return -1 if pitch is None else pitch


async def lines_of(questions: Questions, parties: Sequence[int] | None) -> list[tuple[SipAccount, bytes | None]]:
    """The lines of parties (None: of all), MAX_LIMIT at most: of each its primary one first, then the one of its own
    name, then the oldest. Errors: Unavailable.
    """
    return [_line_from_row(row) for row in await questions.fetch(_OF_PARTIES, parties, MAX_LIMIT)]


async def mains_of(
    questions: Questions, parties: Sequence[int] | None, most: int
) -> list[tuple[SipAccount, bytes | None]]:
    """The first line of each of these parties (None: of all), so many at most. Errors: Unavailable."""
    return [_line_from_row(row) for row in await questions.fetch(_MAINS, parties, most)]


async def wait_for_owner(tx: Transaction, party_id: int) -> None:
    """Give one user one line at a time, so that its first one has the one account. Errors: Unavailable."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('lines of ' || $1::bigint, 0))", party_id)


async def hold_line(tx: Transaction, login: str) -> Held | None:
    """A line, deleted ones too; None: nobody has it, nor had. Errors: Unavailable."""
    row = await tx.fetchrow(_PLACE, login)
    if row is None:
        return None
    await tx.fetchval(_HOLD, row["bucket"], row["subscriber_id"])
    row = await tx.fetchrow(_PLACE, login)
    return None if row is None else Held(row)


async def is_in_call(tx: Transaction, place: Place) -> bool:
    """Whether it has a call in progress. Errors: Unavailable."""
    return await tx.fetchval(_IN_CALL, *place) is not None


async def put_phone(tx: Transaction, place: Place, exchange_id: int) -> None:
    """Give a line a phone of an exchange, or its deleted one again. Errors: Unavailable."""
    await tx.execute(_PUT, place.bucket, place.subscriber_id, exchange_id)


async def change_phone(tx: Transaction, place: Place, values: Mapping[str, Any]) -> None:
    """Set columns of its phone. Errors: Unavailable."""
    columns = dict(values)
    if "endpoint_options" in columns:
        columns["endpoint_options"] = orjson.dumps(dict(columns["endpoint_options"])).decode()
    changes = assignments(PHONE_COLUMNS, columns, first=3)
    await tx.execute(
        f"UPDATE sip_accounts SET {changes}, updated_at = now() "  # noqa: S608  # names of columns
        "WHERE bucket = $1 AND subscriber_id = $2",
        place.bucket, place.subscriber_id, *columns.values(),
    )  # fmt: skip
    if CALLS_GO_BY & columns.keys():
        await tx.execute(_TOUCH, place.bucket, place.subscriber_id)


async def change_line(tx: Transaction, place: Place, values: Mapping[str, Any]) -> None:
    """Set columns of the line itself; another login is claimed first. Errors: ExtensionTaken, Unavailable."""
    if "login" in values and await tx.fetchval(_CLAIM, values["login"], place.bucket) is None:
        raise ExtensionTaken(f"number {values['login']} is taken", field="extension")
    if "login" in values:
        await tx.execute(_GIVE_UP, place.bucket, place.subscriber_id)
    changes = assignments(LINE_COLUMNS, values, first=3)
    await tx.execute(
        f"UPDATE subscribers SET {changes} WHERE bucket = $1 AND subscriber_id = $2",  # noqa: S608
        place.bucket, place.subscriber_id, *values.values(),
    )  # fmt: skip


async def delete_phone(tx: Transaction, place: Place) -> None:
    """Its line registers and calls no more; what it called stays. Errors: Unavailable."""
    await tx.execute(_DELETE, place.bucket, place.subscriber_id)
    await tx.execute(_FORGET_RULES, place.subscriber_id)
    await tx.execute(_FORGET_CALLERS, place.subscriber_id)
    await tx.execute(_SET_STATUS, place.bucket, place.subscriber_id, "blocked")


async def let_call(tx: Transaction, place: Place) -> None:
    """A line that was deleted calls again. Errors: Unavailable."""
    await tx.execute(_SET_STATUS, place.bucket, place.subscriber_id, "active")


async def given_up_main(questions: Questions, party_id: int) -> str | None:
    """The main number that a party has deleted and may have again; None: there is none. Errors: Unavailable."""
    number: str | None = await questions.fetchval(_GIVEN_UP, party_id)
    return number


async def free_main(questions: Questions) -> str | None:
    """The first free number of a main line; None: all are taken. Errors: Unavailable."""
    free: str | None = await questions.fetchval(_FREE, FIRST_MAIN, 99_999)
    return free


async def free_additional(questions: Questions, main: str) -> str | None:
    """The first free number beside a main line; None: all 99 are taken. Errors: Unavailable."""
    first = int(main) * 10 ** (ADDITIONAL_DIGITS - len(main))
    for number in range(first + 1, first + 100):
        text = str(number).zfill(ADDITIONAL_DIGITS)
        if not await questions.fetchval("SELECT 1 FROM logins WHERE login = $1", text):
            return text
    return None


async def some_secrets(questions: Questions, after: tuple[int, int] | None, limit: int) -> list[tuple[int, int, bytes]]:
    """Passwords as they are kept, so many behind a place. Errors: Unavailable."""
    bucket, subscriber_id = after or (None, None)
    rows = await questions.fetch(_SECRETS, bucket, subscriber_id, limit)
    return [(row["bucket"], row["subscriber_id"], row["secret"]) for row in rows]


async def set_secrets(tx: Transaction, secrets: Sequence[tuple[int, int, bytes, bytes]]) -> None:
    """Keep passwords otherwise, unless they were changed meanwhile. Errors: Unavailable."""
    await tx.execute(_SET_SECRETS, *map(list, zip(*secrets, strict=True)))


def _line_from_row(row: asyncpg.Record) -> tuple[SipAccount, bytes | None]:
    values = dict(row)
    secret: bytes | None = values.pop("secret")
    values["options"] = tuple(values["options"])
    values["state"] = phone_state(values)
    if values["exchange"] is None:  # no phone: the defaults
        names = ("line_id", "technology", "numbering_plan", "login",
                 "owner_id", "owner", "account_id", "tariff_id", "tariff", "options", "callerid",
                 "max_seconds", "exchange", "address", "dns_name", "realm", "has_password")  # fmt: skip
        return SipAccount(**{name: values[name] for name in names}), None
    values["endpoint_options"] = orjson.loads(values["endpoint_options"])
    return SipAccount(**values), secret
