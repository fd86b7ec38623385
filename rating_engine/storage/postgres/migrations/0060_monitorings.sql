-- Monitorings of what users spend (MOR).

CREATE TABLE IF NOT EXISTS monitorings (
    monitoring_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    amount         numeric(20, 6) NOT NULL CHECK (amount > 0),  -- in the system's currency
    minutes        integer NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    watched        text NOT NULL CHECK (watched IN ('all', 'prepaid', 'postpaid')),
    block          boolean NOT NULL DEFAULT false,
    users          bigint[] NOT NULL DEFAULT '{}',              -- by number; empty: everybody
    enabled        boolean NOT NULL DEFAULT true
);
CREATE TABLE IF NOT EXISTS monitoring_catches (
    monitoring_id  bigint NOT NULL REFERENCES monitorings,
    party_id       bigint NOT NULL REFERENCES parties,
    counted_to     timestamptz NOT NULL,                        -- the end of the last call that has been counted against it
    PRIMARY KEY (monitoring_id, party_id)
);
