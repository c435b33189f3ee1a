"""Callwright: self-hosted outbound phone calls held by AI voice agents."""

__version__ = "0.1.0"
