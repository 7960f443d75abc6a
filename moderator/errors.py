"""The errors of the running system, by whose fault they are; each message is one line."""


class ModeratorError(Exception):
    """Any error that has an owner; its text says what is wrong and what to do."""


class BadInput(ModeratorError):
    """The post's author is at fault: decide, dead-letter, go on."""


class BadSettings(ModeratorError):
    """The operator is at fault: one line, exit code 2."""


class Unavailable(ModeratorError):
    """The world is at fault: back off, retry, stay unready."""
