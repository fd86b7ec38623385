-- A shape of money functions that no engine asks for, with the functions that take it: it was in use for a while between
-- two releases.

DROP TYPE IF EXISTS settling_v5 CASCADE;
DROP FUNCTION IF EXISTS write_money(smallint, ending_v5[]);
