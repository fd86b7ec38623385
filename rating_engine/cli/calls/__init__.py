"""Calls: placed, open, and past ones priced again; as commands."""
