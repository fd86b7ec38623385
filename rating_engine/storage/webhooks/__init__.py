"""Webhooks and their deliveries, as they are kept."""
