"""What every HTTP surface needs: where a request comes from, its body within a limit, paths without secrets."""
