"""Rules about the code itself. Each check takes a repository's folder, so that it is tested on bad code too."""
