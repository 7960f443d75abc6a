"""Decide posts of the past again, and hold what comes of it against what was decided then."""
