"""Checks recorded traffic against the vendors' machine-readable specifications."""
