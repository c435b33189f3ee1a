"""`callwright version`: which one this is."""

import callwright


def version() -> None:
    """Print which version this is."""
    print(f"callwright {callwright.__version__}")
