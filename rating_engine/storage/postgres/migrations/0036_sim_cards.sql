-- SIM cards. There are none yet.
CREATE TABLE IF NOT EXISTS sim_cards (
    sim_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    iccid             text NOT NULL UNIQUE CHECK (iccid ~ '^[0-9]{1,22}$'),
    msisdn            text NOT NULL DEFAULT '' CHECK (msisdn ~ '^([0-9]{3,15})?$'),
    provider          text NOT NULL,
    party_id          bigint REFERENCES parties,
    line              text NOT NULL DEFAULT '',
    callback_cid      text NOT NULL DEFAULT '',
    allow_direct_sms  boolean NOT NULL DEFAULT false,
    enabled           boolean NOT NULL DEFAULT true,
    last_network      text NOT NULL DEFAULT '',
    last_network_at   timestamptz,
    puk1              bytea,
    puk2              bytea,
    wrong_puks        smallint NOT NULL DEFAULT 0,
    locked_until      timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS sim_cards_by_msisdn ON sim_cards (msisdn) WHERE msisdn <> '';
CREATE INDEX IF NOT EXISTS sim_cards_by_party ON sim_cards (party_id);
