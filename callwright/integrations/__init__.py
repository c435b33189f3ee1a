"""One folder for each vendor. docs/adding-an-integration.md tells how to add one."""
