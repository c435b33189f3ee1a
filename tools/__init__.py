"""Programs for those who work on Callwright; none of them is part of the package."""
