-- What a spoken message plays; callbacks that are there have a second number.

ALTER TABLE callbacks ADD COLUMN IF NOT EXISTS sound text NOT NULL DEFAULT '';
