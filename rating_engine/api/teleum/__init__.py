"""Teleum's API v3: one path, `/api/v3/?cmd=`, JSON answers, for the users of one contract each."""
