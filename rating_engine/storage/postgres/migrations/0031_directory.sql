-- mode: statements
-- The directory out of the decks in force that are ours, those of carriers aside; of a prefix that several have the oldest
-- tariff's counts. It reads the rates and locks nothing that a call needs; one that was cut off is begun anew.

INSERT INTO direction_prefixes (prefix, direction)
SELECT DISTINCT ON (r.prefix) r.prefix, r.direction
FROM tariffs t JOIN rates r ON r.deck_id = deck_at(t.tariff_id, now())
WHERE r.direction <> '' AND NOT EXISTS (SELECT FROM routes c WHERE c.cost_tariff_id = t.tariff_id)
ORDER BY r.prefix, t.tariff_id
ON CONFLICT (prefix) DO NOTHING;
