"""What could not be judged, afterwards: looking through dead letters, and posting them again."""
