"""Routes: what an operator may say of them, how calls go there, and why one is tried or not."""
