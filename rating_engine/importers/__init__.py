"""Rate cards of A2Billing, MagnusBilling and ASTPP, read from their CSV files or SQL dumps and made into our tariffs.

`dump` and `table_file` read, `scratch` keeps what was read on disk, `a2billing`, `magnusbilling` and `astpp` map their
rules to ours, `report` holds every difference, `writing` makes deck files of it, and `importing` publishes them. Only
`importing` knows a database server.

Law: nothing is hidden. A row is taken, or rejected with its reason; a rule is mapped, or the report says what a call
costs from now on and why.
"""
