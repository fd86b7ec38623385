-- Several taxes of a user, and of an invoice what each came to. Nobody has more than one yet; no table is rewritten.

CREATE TABLE IF NOT EXISTS party_taxes (
    party_id  bigint NOT NULL REFERENCES parties,
    position  smallint NOT NULL CHECK (position BETWEEN 1 AND 4),
    name      text NOT NULL CHECK (name <> ''),
    percent   numeric(7, 4) NOT NULL CHECK (percent > 0 AND percent <= 100),
    PRIMARY KEY (party_id, position)
);
ALTER TABLE invoices ADD COLUMN IF NOT EXISTS taxes jsonb NOT NULL DEFAULT '[]';
