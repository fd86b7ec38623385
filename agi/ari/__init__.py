"""Asterisk's REST interface: the engine holds the call itself, and the dialplan has nothing to decide."""
