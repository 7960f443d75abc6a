"""Reads data sets from disk and splits them. Must not know networks or training."""
