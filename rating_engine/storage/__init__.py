"""PostgreSQL and Redis: the only layer that knows a driver."""
