"""Measurements, run by hand: each prints ratios taken within one run, never a pass or a fail."""
