-- What 0012 left to be checked, while calls go on.

ALTER TABLE rates VALIDATE CONSTRAINT rates_origin_check;
ALTER TABLE rate_edits VALIDATE CONSTRAINT rates_origin_check;
