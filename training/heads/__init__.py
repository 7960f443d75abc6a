"""Heads that name types and tell firearms from all else, on features of a network as it is."""
