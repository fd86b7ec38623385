"""Messages, what they cost, and how they stand."""
