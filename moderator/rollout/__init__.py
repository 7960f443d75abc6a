"""Releases in production: which one is served, how it changes, and what a candidate would say."""
