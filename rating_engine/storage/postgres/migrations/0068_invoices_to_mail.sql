-- Monthly invoices of postpaid accounts are mailed by themselves. Those that are there are not: who has them knows them.

ALTER TABLE invoices ADD COLUMN IF NOT EXISTS to_mail boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS invoices_to_mail ON invoices (issued_at) WHERE to_mail;
