"""Commands about calling cards, their groups, and taxes."""
