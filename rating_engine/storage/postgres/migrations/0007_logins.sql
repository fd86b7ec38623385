-- mode: batches
-- total: SELECT count(*) FROM subscribers

INSERT INTO logins (login, bucket)
SELECT login, bucket FROM subscribers s WHERE NOT EXISTS (SELECT FROM logins l WHERE l.login = s.login) LIMIT 20000
