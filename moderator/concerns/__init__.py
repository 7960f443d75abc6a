"""The settings of every part, one class per concern, with their units, bounds and defaults.

Knows nothing of where values come from or of what the parts do with them.
"""
