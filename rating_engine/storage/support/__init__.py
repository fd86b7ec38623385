"""News, tickets, and mail that waits to be sent."""
