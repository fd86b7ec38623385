"""Ports of services, carried out by what stands outside: a mail server, a speech program, providers."""
