"""Numbering plans and dialled aliases."""
