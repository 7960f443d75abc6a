"""The method: distances, losses, pairs, batches and objectives. Knows no files or networks."""
