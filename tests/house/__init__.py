"""Rules about the code itself. Each check takes a repository's folder and is tried on bad code too."""
