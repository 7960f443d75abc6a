"""The retrieval network, the prototype index and the release of both. Imports nothing itself."""
