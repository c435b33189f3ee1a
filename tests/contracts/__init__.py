"""One suite for each port, run on every integration that the registry finds, against the integration's simulator.

Nothing here names a vendor. What a suite cannot know by itself the integration tells in fixtures/contract.yaml;
docs/adding-an-integration.md says what that is.
"""
