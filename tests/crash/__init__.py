"""Kills a real Callwright process with SIGKILL, and counts at the simulated vendors what came of it."""
