"""Why an image by reference cannot be had. Imports nothing but the tree of errors."""

from moderator.errors import ModeratorError

CAUSES = {
    "not-allowed": "the settings do not allow the address, or it is not well formed",
    "not-found": "there is no such host, file or object",
    "timeout": "it did not arrive whole in time",
    "busy": "too much else is under way here, and its turn did not come in time",
    "host-down": "its host has not answered in time again and again, and is not waited for",
    "too-large": "it has more bytes than a post may have",
    "refused": "the connection failed or broke off",
    "address": "the host's name leads to an address that is not public",
    "tls": "the host could not prove its name",
    "status": "the answer is no plain content: an error, an encoded body, too many redirects",
    "store": "the object store cannot be used or does not answer as it should",
}
"""Labels of a metric, so these few and no others, and what each means."""

OURS = frozenset({"busy"})
"""Causes that say nothing of the host or store: a queue of ours was too long."""

FOR_GOOD = frozenset({"not-allowed", "too-large", "address"})
"""Causes that trying again does not change."""


class Unreachable(ModeratorError):
    """An image by reference that cannot be had; ``cause`` is one of ``CAUSES``.

    Its text never holds the URL, which may carry credentials.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(f"the image cannot be fetched: {CAUSES.get(cause, cause)}")
        self.cause = cause

    def __reduce__(self) -> tuple[type["Unreachable"], tuple[str]]:
        """Cross process borders whole."""
        return type(self), (self.cause,)
