"""Rate decks: found by number (`lookup`, `regions`), asked for a price (`quote`), and as operators live with them.

`file` reads what carriers send, `filling` stores it, `importing` publishes it whole or as a delta, now or for later
(`timing`); `versions` compares and takes back, `export` writes out.
"""
