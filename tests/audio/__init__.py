"""Tests of callwright.audio."""
