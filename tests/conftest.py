"""Fixtures of the tests in this folder; those that the integrations' tests share are in ../conftest.py."""
