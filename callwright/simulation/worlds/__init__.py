"""Worlds that come with Callwright, as YAML."""
