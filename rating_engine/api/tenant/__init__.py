"""The tenant billing REST surface: how a tenant is charged, and its call rates."""
