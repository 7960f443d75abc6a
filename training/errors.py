"""The errors of training; each message is one line. Imports nothing."""


class TrainingError(Exception):
    """Any error of this package; its text says what is wrong and what to do."""


class BadInput(TrainingError):
    """Photographs, tables or options cannot be used; the text says which and what to do."""
