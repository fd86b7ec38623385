"""Tenants as they are kept: how their calls are charged, and their call rates."""
