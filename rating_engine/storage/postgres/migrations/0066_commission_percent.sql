-- The percentage that a payment method puts on a request, as it was asked for: from rounded amounts it cannot be told.

ALTER TABLE invoices ADD COLUMN IF NOT EXISTS commission_percent numeric(7, 4) NOT NULL DEFAULT 0;
UPDATE invoices SET commission_percent = round(commission * 100 / (net + tax), 2)
  WHERE commission > 0 AND net + tax > 0 AND commission_percent = 0;
