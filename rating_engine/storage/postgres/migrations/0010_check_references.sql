-- What 0009 left to be checked, while calls go on.

ALTER TABLE subscriber_options VALIDATE CONSTRAINT subscriber_options_bucket_subscriber_id_fkey;
ALTER TABLE aliases VALIDATE CONSTRAINT aliases_bucket_subscriber_id_fkey;
