"""Tests of Callwright: house rules, contracts, scenarios and units."""
