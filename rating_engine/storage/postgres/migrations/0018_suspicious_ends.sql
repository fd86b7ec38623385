-- for functions
-- What was seen of a call beside what its finish said, and whether a person should look at it. Of calls of the past
-- nothing is known of that.

ALTER TABLE call_records
    ADD COLUMN IF NOT EXISTS seen_seconds integer,
    ADD COLUMN IF NOT EXISTS said_seconds integer,
    ADD COLUMN IF NOT EXISTS suspicion text NOT NULL DEFAULT '' CHECK (suspicion IN ('', 'too_long', 'unseen'));
