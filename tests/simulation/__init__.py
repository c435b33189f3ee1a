"""Tests of callwright.simulation."""
