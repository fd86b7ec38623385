"""Routes and the figures measured of them."""
