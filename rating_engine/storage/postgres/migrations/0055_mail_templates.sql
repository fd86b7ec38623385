-- Who may send messages, and mails from templates. There are none yet.
CREATE TABLE IF NOT EXISTS sms_users (
    party_id  bigint PRIMARY KEY REFERENCES parties
);
CREATE TABLE IF NOT EXISTS mail_templates (
    name     text PRIMARY KEY,
    subject  text NOT NULL,
    body     text NOT NULL
);
