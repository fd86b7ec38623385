"""Rate decks and what calls cost by them, as commands."""
