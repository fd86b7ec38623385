-- Payments, invoices and credit notes; mail may carry a PDF. There are none yet, and nobody is charged tax.

ALTER TABLE party_details ADD COLUMN IF NOT EXISTS tax_number text NOT NULL DEFAULT '';
ALTER TABLE party_details ADD COLUMN IF NOT EXISTS tax_id bigint REFERENCES taxes;
ALTER TABLE mails ADD COLUMN IF NOT EXISTS attachment bytea;
ALTER TABLE mails ADD COLUMN IF NOT EXISTS attachment_name text NOT NULL DEFAULT '';

-- The last number of each issuer's papers. A number is taken in the transaction that writes its paper: there are no gaps.
CREATE TABLE IF NOT EXISTS paper_numbers (
    issuer_id    bigint NOT NULL REFERENCES parties,
    series       text NOT NULL CHECK (series IN ('monthly', 'request', 'credit_note')),
    last_number  bigint NOT NULL DEFAULT 0 CHECK (last_number >= 0),
    PRIMARY KEY (issuer_id, series)
);

-- Months of which every account has its invoice: they are looked through no more.
CREATE TABLE IF NOT EXISTS invoiced_months (
    month     date PRIMARY KEY,
    ended_at  timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE IF NOT EXISTS payment_ids;
CREATE SEQUENCE IF NOT EXISTS invoice_ids;
CREATE SEQUENCE IF NOT EXISTS credit_note_ids;
-- Money that somebody pays from outside. `amount`, `tax` on it and the handler's `commission` are what is paid, in `currency`;
-- `credited` is what `amount` is in the account's. It is confirmed once, by confirm_payment_v1: one top-up, whose reference
-- is payment:METHOD:TRANSACTION. A reseller confirms with money of its own account (payer_id; NULL: it came from outside).
CREATE TABLE IF NOT EXISTS payments (
    bucket        smallint NOT NULL,
    payment_id    bigint NOT NULL DEFAULT nextval('payment_ids'),
    account_id    bigint NOT NULL,
    party_id      bigint NOT NULL,
    invoice_id    bigint,                              -- what is paid by it; NULL: nothing in particular
    method        text NOT NULL,                       -- the handler: manual, or one of the settings
    kind          text NOT NULL DEFAULT '',            -- by what the handler is paid: bank, cash, card
    transaction   text NOT NULL CHECK (length(transaction) BETWEEN 1 AND 120),
    amount        numeric(20, 6) NOT NULL CHECK (amount > 0),
    tax           numeric(20, 6) NOT NULL DEFAULT 0 CHECK (tax >= 0),
    commission    numeric(20, 6) NOT NULL DEFAULT 0 CHECK (commission >= 0),
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    credited      numeric(20, 6) NOT NULL CHECK (credited > 0),
    payer         text NOT NULL DEFAULT '',
    comment       text NOT NULL DEFAULT '',
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'confirmed', 'cancelled')),
    payer_id      bigint,
    taken         numeric(20, 6),                      -- of it, in its currency
    created_at    timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz,
    PRIMARY KEY (bucket, payment_id),
    CHECK ((state = 'pending') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS payments_once ON payments (bucket, account_id, method, transaction);
CREATE INDEX IF NOT EXISTS payments_by_party ON payments (party_id, payment_id);

-- What somebody is asked to pay (`request`), or a month of an account (`monthly`): its entries after from_entry up to to_entry,
-- so that months lie end to end and no entry is in two. What stands on it is frozen, names and addresses too; who is to have
-- another one cancels it and keeps its number.
CREATE TABLE IF NOT EXISTS invoices (
    bucket        smallint NOT NULL,
    invoice_id    bigint NOT NULL DEFAULT nextval('invoice_ids'),
    account_id    bigint NOT NULL,
    party_id      bigint NOT NULL,
    issuer_id     bigint NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('monthly', 'request')),
    number        bigint NOT NULL CHECK (number > 0),
    state         text NOT NULL CHECK (state IN ('open', 'paid', 'cancelled')),
    issued_at     timestamptz NOT NULL DEFAULT now(),
    valid_to      timestamptz NOT NULL,
    ended_at      timestamptz,                         -- when it was paid or cancelled
    period_start  date,                                -- by the account's calendar
    period_end    date,                                -- the first day after it
    from_entry    bigint,
    to_entry      bigint,
    currency      text NOT NULL,
    net           numeric(20, 6) NOT NULL,
    tax_percent   numeric(7, 4) NOT NULL,
    tax           numeric(20, 6) NOT NULL,
    commission    numeric(20, 6) NOT NULL DEFAULT 0,
    opening       numeric(20, 6),
    closing       numeric(20, 6),
    due           numeric(20, 6) NOT NULL,
    issuer        jsonb NOT NULL,                      -- name, address, email, bank_account, tax_number
    billed        jsonb NOT NULL,
    PRIMARY KEY (bucket, invoice_id),
    CHECK ((kind = 'monthly') = (period_start IS NOT NULL AND period_end IS NOT NULL AND from_entry IS NOT NULL
                                 AND to_entry IS NOT NULL AND opening IS NOT NULL AND closing IS NOT NULL)),
    CHECK (state <> 'cancelled' OR ended_at IS NOT NULL)
);
CREATE UNIQUE INDEX IF NOT EXISTS invoices_numbered ON invoices (bucket, issuer_id, kind, number);
CREATE UNIQUE INDEX IF NOT EXISTS invoices_once ON invoices (bucket, account_id, period_start)
  WHERE kind = 'monthly' AND state <> 'cancelled';
CREATE INDEX IF NOT EXISTS invoices_by_party ON invoices (party_id, invoice_id);

-- `amount` is what it adds to the invoice or, of a movement (payments, transfers, corrections of the balance), to the balance.
CREATE TABLE IF NOT EXISTS invoice_lines (
    bucket      smallint NOT NULL,
    invoice_id  bigint NOT NULL,
    position    integer NOT NULL,
    kind        text NOT NULL,                         -- LineKind of domain/invoice
    name        text NOT NULL,
    quantity    bigint NOT NULL CHECK (quantity >= 0),
    seconds     bigint NOT NULL DEFAULT 0 CHECK (seconds >= 0),
    amount      numeric(20, 6) NOT NULL,
    PRIMARY KEY (bucket, invoice_id, position)
);

-- Money that somebody is given back. Paid: it was credited to the account by an adjustment; `turns` counts how often it was
-- paid or taken back, each an entry credit_note:ID:TURN. One that is deleted is unpaid, and keeps its number.
CREATE TABLE IF NOT EXISTS credit_notes (
    bucket          smallint NOT NULL,
    credit_note_id  bigint NOT NULL DEFAULT nextval('credit_note_ids'),
    account_id      bigint NOT NULL,
    party_id        bigint NOT NULL,
    issuer_id       bigint NOT NULL,
    number          bigint NOT NULL CHECK (number > 0),
    label           text NOT NULL DEFAULT '',          -- what its maker numbers it by; '': by `number`
    amount          numeric(20, 6) NOT NULL CHECK (amount > 0),
    tax             numeric(20, 6) NOT NULL DEFAULT 0 CHECK (tax >= 0),
    currency        text NOT NULL,
    credited        numeric(20, 6) NOT NULL CHECK (credited > 0),
    comment         text NOT NULL DEFAULT '',
    state           text NOT NULL DEFAULT 'unpaid' CHECK (state IN ('unpaid', 'paid', 'deleted')),
    turns           integer NOT NULL DEFAULT 0,
    payer_id        bigint,                            -- whose money it is while it is paid; NULL: it came from outside
    taken           numeric(20, 6),
    issued_at       timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, credit_note_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS credit_notes_numbered ON credit_notes (bucket, issuer_id, number);
CREATE INDEX IF NOT EXISTS credit_notes_by_party ON credit_notes (party_id, credit_note_id);
