-- What a card has to pay for its first use, as its group had it then: no card was used yet.

ALTER TABLE calling_cards
    ADD COLUMN IF NOT EXISTS setup_due numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_due >= 0);
