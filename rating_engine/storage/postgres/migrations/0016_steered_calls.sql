-- for functions
-- Calls that are reserved in full are lengthened too where their exchange is watched, so an open call says whether it can
-- be. One that is open now can if it is in slices: engines ask for both.

ALTER TABLE open_calls ADD COLUMN IF NOT EXISTS steered boolean NOT NULL DEFAULT false;
