"""News, tickets, and mail."""
