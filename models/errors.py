"""The errors of networks, indexes and releases; each message is one line. Imports nothing."""


class ModelError(Exception):
    """Any error of this package; its text says what is wrong and what to do."""


class BadRelease(ModelError):
    """A release directory is absent, damaged, or of a format that is not known."""


class BadNetwork(ModelError):
    """A network is not described as it should be, or its weights do not fit it."""


class WrongDimension(ModelError):
    """Embeddings of one dimension met an index of another."""

    def __init__(self, given: int, expected: int) -> None:
        super().__init__(
            f"embeddings have {given} dimensions but the index has {expected}; "
            "they are of different networks"
        )
        self.given = given
        self.expected = expected

    def __reduce__(self) -> tuple[type["WrongDimension"], tuple[int, int]]:
        """Cross process borders whole."""
        return type(self), (self.given, self.expected)
