"""Whole calls through the true protocols: simulated vendors, real sockets, a real database."""
