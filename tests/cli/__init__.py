"""The command line as a person meets it: the real command in a process of its own."""
