"""The MOR XML API at /billing/api/{function}."""
