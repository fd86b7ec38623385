-- for functions
-- Whether an account's calls may cost more than they bring: nobody has said yet, so it is as tariffs have it.

ALTER TABLE accounts ADD COLUMN IF NOT EXISTS allow_loss boolean;
