-- for functions
-- Exchanges, and the phones of subscribers. No line has one yet.

ALTER TABLE accounts ADD COLUMN IF NOT EXISTS closed_at timestamptz;  -- of 0011, which the view phones names

-- The Asterisk servers whose phones the engine knows. `name`: of its calls too (RATING_QUERY), of its AMI in the settings and
-- of its key. `realm`: what passwords of its phones are hashed with. `database_role`: who reads its phones by the views
-- ps_*, and nothing else; NULL: it has none, its phones are in a file.
CREATE TABLE IF NOT EXISTS exchanges (
    exchange_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    address           text NOT NULL DEFAULT '',
    dns_name          text NOT NULL DEFAULT '',
    realm             text NOT NULL CHECK (realm ~ '^[A-Za-z0-9._@-]{1,64}$'),
    context           text NOT NULL DEFAULT 'phones' CHECK (context ~ '^[A-Za-z0-9_-]{1,79}$'),
    config_directory  text NOT NULL DEFAULT '',
    database_role     text UNIQUE,
    enabled           boolean NOT NULL DEFAULT true,
    created_at        timestamptz NOT NULL DEFAULT now()
);

-- The phone of a subscriber: by what it registers at its exchange, and how it is reached. `secret` is its password, encrypted
-- with a key of the settings; `md5_cred` = md5(login:realm:password), all that an exchange is told of it. `host`: where a
-- phone without a password calls from. `deleted_at`: nobody's phone any more; its calls and its number stay.
CREATE TABLE IF NOT EXISTS sip_accounts (
    bucket            smallint NOT NULL,
    subscriber_id     bigint NOT NULL,
    exchange_id       bigint NOT NULL,
    technology        text NOT NULL DEFAULT 'SIP',
    secret            bytea,
    md5_cred          text CHECK (md5_cred ~ '^[0-9a-f]{32}$'),
    label             text NOT NULL DEFAULT '',
    email             text NOT NULL DEFAULT '',
    is_primary        boolean NOT NULL DEFAULT false,
    transport         text NOT NULL DEFAULT 'udp,tcp,tls' CHECK (transport IN ('udp,tcp,tls', 'udp,tcp', 'tls', 'udp', 'tcp')),
    srtp              boolean NOT NULL DEFAULT false,
    reachable         boolean NOT NULL DEFAULT true,             -- takes calls
    redirect_to       text NOT NULL DEFAULT '' CHECK (redirect_to ~ '^\+?[0-9]{0,32}$'),  -- where they go instead; '': nowhere
    host              text NOT NULL DEFAULT '',
    disa_pin          text NOT NULL DEFAULT '' CHECK (disa_pin ~ '^[0-9]{0,16}$'),
    trusted_cli       text NOT NULL DEFAULT '' CHECK (trusted_cli ~ '^\+?[0-9]{0,32}$'),
    trust_is_given    boolean NOT NULL DEFAULT false,            -- by whoever owns the user, not by itself
    force_callback    boolean NOT NULL DEFAULT false,
    pitch_shift       smallint NOT NULL DEFAULT -1 CHECK (pitch_shift BETWEEN -1 AND 100),  -- -1: off
    language          text NOT NULL DEFAULT '' CHECK (language ~ '^[A-Za-z_-]{0,20}$'),    -- of what it is told
    context           text NOT NULL DEFAULT '' CHECK (context ~ '^[A-Za-z0-9_-]{0,79}$'),  -- '': its exchange's
    max_contacts      smallint NOT NULL DEFAULT 1 CHECK (max_contacts BETWEEN 1 AND 10),   -- telephones at a time
    dtmf_mode         text NOT NULL DEFAULT 'rfc4733' CHECK (dtmf_mode IN ('rfc4733', 'inband', 'info', 'auto', 'auto_info')),
    allow             text NOT NULL DEFAULT 'alaw,ulaw,g722' CHECK (allow ~ '^[a-z0-9_,]{1,200}$'),
    endpoint_options  jsonb NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    deleted_at        timestamptz,
    PRIMARY KEY (bucket, subscriber_id),
    CHECK (deleted_at IS NULL OR (secret IS NULL AND md5_cred IS NULL AND host = '')),
    FOREIGN KEY (bucket, subscriber_id) REFERENCES subscribers ON DELETE CASCADE
);
