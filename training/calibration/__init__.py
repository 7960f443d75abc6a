"""From a network's embeddings to a release's policy: what is chosen on held-out photographs."""
