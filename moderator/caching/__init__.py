"""Embeddings of pictures seen before: in process memory or in Redis."""
