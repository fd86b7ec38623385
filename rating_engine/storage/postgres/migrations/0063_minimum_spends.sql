-- The least that the calls of a user cost in a month (MOR).

CREATE TABLE IF NOT EXISTS minimum_spends (
    party_id    bigint PRIMARY KEY REFERENCES parties,
    amount      numeric(20, 6) NOT NULL CHECK (amount > 0),  -- of a month, in the system's currency
    since       date NOT NULL,
    next_month  date NOT NULL CHECK (extract(day FROM next_month) = 1)  -- the month that is settled next
);
