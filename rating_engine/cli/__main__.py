"""`python -m rating_engine.cli` is `rating-engine`."""

from rating_engine.cli.app import main

main()
