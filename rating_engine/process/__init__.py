"""Processes and sockets: the supervisor and its workers, takeover, what systemd is told."""
