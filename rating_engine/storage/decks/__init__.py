"""Rate decks: look-up, cache, loading, versions, removal."""
