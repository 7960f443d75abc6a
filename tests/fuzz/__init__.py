"""Damaged images by the thousand, each made from a seed, through the real decode pool."""
