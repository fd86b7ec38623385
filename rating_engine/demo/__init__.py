"""A few hundred calls on embedded servers, and the ledger checked after them."""
