"""Rate decks as files: reading CSV as carriers send it, and writing back the rows that were not taken.

`layout` understands the header, `source` turns bytes into numbered lines, `rows` checks a row, `rejects` writes what
was refused. Nothing here knows a database.
"""
