"""callPrepare and callFinish: who, number, price, packages, route, hold; then the end."""
