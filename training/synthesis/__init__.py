"""Draws a data set of firearm silhouettes. Must not know how photographs are read or trained on."""
