"""What makes a release: embedding photographs, choosing prototypes, setting thresholds."""
