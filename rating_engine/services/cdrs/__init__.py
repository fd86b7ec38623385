"""Calls that are over: re-rating and simulation."""
