"""The retrieval network, the prototype index and the release that holds both. Imports nothing itself."""
