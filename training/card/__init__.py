"""The model card of a release: what it is, what it is for, how good it is and where it fails."""
