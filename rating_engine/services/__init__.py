"""The use cases. A service knows no wire format and no driver."""
