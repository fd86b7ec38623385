-- The first card group that somebody makes is 1, as other systems have it: the group of codes, which nobody names, is 0.

DROP INDEX IF EXISTS card_groups_of_codes;
INSERT INTO card_groups (group_id, name, number_length, pin_length, is_codes)
  OVERRIDING SYSTEM VALUE VALUES (0, 'codes', 16, 0, true) ON CONFLICT (group_id) DO NOTHING;
UPDATE calling_cards SET group_id = 0 WHERE group_id IN (SELECT group_id FROM card_groups WHERE is_codes AND group_id <> 0);
DELETE FROM card_groups WHERE is_codes AND group_id <> 0;
CREATE UNIQUE INDEX card_groups_of_codes ON card_groups (is_codes) WHERE is_codes;
SELECT setval(pg_get_serial_sequence('card_groups', 'group_id'), 1, false)
  WHERE NOT EXISTS (SELECT FROM card_groups WHERE group_id > 0);
