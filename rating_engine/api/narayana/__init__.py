"""Narayana Billing API 2.2: /billing/api/{version}/{key}/{method}."""
