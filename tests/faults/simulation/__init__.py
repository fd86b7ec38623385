"""A deterministic simulation of exchanges, networks and engines over the real money functions of a real PostgreSQL.

What is real: services/calls, storage/calls/ledger with its batches, every SQL function. What is simulated: the
clock (of the event loop and of PostgreSQL's `now()` alike), the exchanges and their calls, the network between them
and the engines (events lost, doubled, late, reordered), crashes of engines, outages of the database. All of it is drawn
from one seed, and all statements share one connection, so the seed alone makes a run again.
"""
